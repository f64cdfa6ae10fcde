"""The changes that this process has stored, for those who listen: each after it came to pass."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import structlog

from service.storage import transactions
from service.storage.plans import Change

Listener: TypeAlias = Callable[[Sequence[Change]], None]

log = structlog.get_logger("sheaf.changes")


class ChangeFeed:
    """Passes on every change of collections' documents that is made on one connection.

    What a transaction changes is passed on when it is committed, and never if it is aborted. The changes of
    one write come in order; those of writes that met, as their answers come: `version` orders them. Whether a
    write came to pass whose connection broke is not known: nothing is passed on then.
    """

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Have a function called with all changes from now on, in the event loop; it may not block."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Have a function called no more."""
        self._listeners.remove(listener)

    def publish(self, changes: Sequence[Change]) -> None:
        """Pass on changes that are stored; within a transaction, keep them until it is committed."""
        pending = transactions.pending_changes()
        if pending is not None:
            pending.extend(changes)
            return
        for listener in self._listeners:
            try:
                listener(changes)
            except Exception:
                log.exception("changes.listener_failed")
