"""Three ways for a primary to go, and how each is mended."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from service.mongod import PrivateServer, ReplicaSet

KILLED_FOR_S = 3.0
FROZEN_BEYOND_ELECTION_S = 6.0
"""Longer than errors may come, so that the service recovers before the frozen server does."""
STEPPED_DOWN_FOR_S = 10

Mend = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way: `strike` a primary of a set, which gives what mends it; errors may come for `allowed_s`."""

    name: str
    strike: Callable[[ReplicaSet, PrivateServer], Mend]
    lasts_s: float
    allowed_s: float


def faults(election_timeout_s: float) -> tuple[Fault, ...]:
    """Give the faults of a set whose members elect another primary after so long a silence."""
    return (
        Fault("kill -9", _kill, KILLED_FOR_S, election_timeout_s + 3),
        Fault("freeze", _freeze, election_timeout_s + FROZEN_BEYOND_ELECTION_S, election_timeout_s + 5),
        Fault("step down", _step_down, 0, 1),
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
