"""Three ways for a primary to go, and how each is mended."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from service.dev.mongod import PrivateServer, ReplicaSet

KILLED_FOR_S = 3.0
STEPPED_DOWN_FOR_S = 10

WAITING_S = 3.0
"""How long errors may come after there is a primary again: it has no majority at once, and requests that have
waited for it until then may end without an answer from it."""

Mend = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way: `strike` a primary of a set, which gives what mends it; errors may come for `allowed_s`."""

    name: str
    strike: Callable[[ReplicaSet, PrivateServer], Mend]
    lasts_s: float
    allowed_s: float


def faults(election_timeout_s: float) -> tuple[Fault, ...]:
    """Return the faults of a set whose members elect another primary after so long a silence.

    To take over from a frozen one needs that time twice: the new primary waits for an answer of the old one,
    to catch up with it. That stays frozen for longer than errors may come, so that its return ends none.
    """
    frozen_s = 2 * election_timeout_s + WAITING_S
    return (
        Fault("kill -9", _kill, KILLED_FOR_S, election_timeout_s + WAITING_S),
        Fault("freeze", _freeze, frozen_s + 1, frozen_s),
        Fault("step down", _step_down, 0, 2),
    )


def _kill(members: ReplicaSet, primary: PrivateServer) -> Mend:
    os.kill(primary.pid, signal.SIGKILL)
    return lambda: members.restart(primary)


def _freeze(_: ReplicaSet, primary: PrivateServer) -> Mend:
    os.kill(primary.pid, signal.SIGSTOP)
    return lambda: os.kill(primary.pid, signal.SIGCONT)


def _step_down(_: ReplicaSet, primary: PrivateServer) -> Mend:
    with MongoClient[dict[str, Any]](primary.address, directConnection=True) as client:
        try:
            client.admin.command("replSetStepDown", STEPPED_DOWN_FOR_S)
        except AutoReconnect:  # a server may close its connections when it steps down
            time.sleep(0)
    return lambda: None
