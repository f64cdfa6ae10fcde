"""The sockets that workers accept from, which the main process holds so that they outlive a worker."""

import ctypes
import resource
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from typing import Any

import structlog
from granian._granian import SocketHolder

from service.runtime.server.address import Address, bind

RESERVED_FILES = 512
"""Open files that a worker keeps for what is no connection of a client: MongoDB, files, libraries."""


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


BACKLOG = 2048
"""Connections that may wait for a worker to accept them."""

SO_ATTACH_REUSEPORT_CBPF = 51
LOAD_RANDOM = 0x20, 0, 0, 0xFFFFF000 + 56
REMAINDER, EQUALS, RETURN = 0x94, 0x15, 0x06
"""Linux's socket option and the instructions of its classic packet filter (linux/filter.h)."""

log = structlog.get_logger("sheaf.server")


class Listening:
    """One listening socket for each slot, of one address; the kernel steers which get new connections.

    Granian's workers would make sockets of their own: what waits for a worker that dies is reset. These
    outlive their workers: new connections go to the others at once, and the few that were on their way wait
    for the next worker in the slot. Sharing one socket instead leaves almost all connections to whichever
    worker wakes first; that is the fallback, where the kernel cannot be steered.
    """

    def __init__(self, address: Address, slots: int, *, stall_s: float) -> None:
        can_steer = sys.platform == "linux"
        self._steered: tuple[int, ...] = ()
        self._sockets = [bind(address, is_one_of_many=can_steer)]
        if can_steer and self._attach([0]):
            self._sockets += [bind(address, is_one_of_many=True) for _ in range(1, slots)]
        elif can_steer:
            log.warning("workers share one socket", hint="Connections will be spread unevenly over them.")
        for one in self._sockets:
            end_stalled(one, stall_s)

    def open(self) -> None:
        """Begin to listen; until then connections are refused."""
        for one in self._sockets:  # in this order, by which the kernel numbers them
            one.listen(BACKLOG)

    def close(self) -> None:
        """Let the sockets go; workers keep theirs until they end."""
        for one in self._sockets:
            one.close()

    def of(self, slot: int) -> "Inherited":
        """Return the socket that the worker in a slot accepts from."""
        return Inherited(self._sockets[slot if len(self._sockets) > 1 else 0])

    def steer(self, slots: Sequence[int]) -> None:
        """Have new connections go to these slots only, each of them as likely as the others."""
        if len(self._sockets) > 1 and slots and tuple(slots) != self._steered and self._attach(slots):
            self._steered = tuple(slots)

    def _attach(self, slots: Sequence[int]) -> bool:
        filters = b"".join(struct.pack("HBBI", *instruction) for instruction in program(slots))
        array = ctypes.create_string_buffer(filters, len(filters))
        described = struct.pack("HP", len(filters) // 8, ctypes.addressof(array))
        try:
            self._sockets[0].setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, described)
        except OSError:
            return False
        return True


def program(slots: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return the filter that chooses one of the slots at random: a remainder, and the slot of each.

    >>> [hex(code) for code, *_ in program([0, 2])]
    ['0x20', '0x94', '0x15', '0x6', '0x15', '0x6', '0x6']
    """
    chosen = [(REMAINDER, 0, 0, len(slots))]
    for remainder, slot in enumerate(slots):
        chosen += [(EQUALS, 0, 1, remainder), (RETURN, 0, 0, slot)]
    return [LOAD_RANDOM, *chosen, (RETURN, 0, 0, slots[0])]


@dataclass(frozen=True, slots=True)
class Inherited:
    """A socket that arrives in a process being spawned as Granian's own kind."""

    bound: socket.socket

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.bound.fileno()),)


def _received(descriptor: Any) -> SocketHolder:
    number = descriptor.detach()
    _OF_PROCESS.append(number)
    return SocketHolder(number, False, BACKLOG)  # type: ignore[call-arg]  # its stub lacks the constructor


_OF_PROCESS: list[int] = []
"""The socket of this process, if it is a worker."""


def is_open() -> bool:
    """Return whether this worker's socket listens."""
    for number in _OF_PROCESS:
        with socket.socket(fileno=number) as ours:
            try:
                return bool(ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            finally:
                ours.detach()
    return True
