"""What connections may take: how many there are, how long they are idle, how long their clients stall."""

import resource
import socket
import sys
from dataclasses import dataclass

import structlog

RESERVED_FILES = 512
"""Open files that a worker keeps for what is no connection of a client: MongoDB, files, libraries."""

log = structlog.get_logger("sheaf.server")


@dataclass(frozen=True, slots=True)
class Connections:
    """The bounds of one worker's connections.

    `most` of them are open at once; more wait until one ends. `idle_s` is how long one may be without a
    request, or take to send a request's head; `stall_s` how long its client may take nothing of an answer.
    """

    most: int = 8192
    idle_s: float = 30.0
    stall_s: float = 20.0

    def within_file_limit(self) -> int:
        """Raise this process's limit of open files as far as needed; returns how many connections it allows.

        Beyond it a worker could not even reach MongoDB. Workers have the limit of the process they come from.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = self.most + RESERVED_FILES
        if soft == resource.RLIM_INFINITY or soft >= needed:
            return self.most
        allowed = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed == needed:
            return self.most
        most = max(allowed - RESERVED_FILES, allowed // 2)
        log.warning("fewer connections than set", connections=most, open_files=allowed)
        return most


USUAL = Connections()


def end_stalled(listener: socket.socket, stall_s: float) -> None:
    """Have the kernel end connections whose clients take nothing of what is sent to them for so long.

    The server cannot: what it has sent is out of its hands. Connections have the option from the socket that
    they are accepted at, which Linux alone has.
    """
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stall_s * 1000))
