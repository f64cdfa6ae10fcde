"""What the driver reports: use of its connections, times of commands, and commands as spans."""

from collections import Counter
from threading import Lock
from typing import Any

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionPoolListener,
)

from service.runtime import database_time
from service.runtime.tracing import Attributes, Span, present

Listener = CommandListener | ConnectionPoolListener

MICROSECOND_S = 1e-6

CommandKey = tuple[tuple[str, int | None], int]
"""What identifies a running command: its connection and its number there."""


class PoolCounts(ConnectionPoolListener):
    """Counts connections of all the driver's pools; from any thread, some 2 µs for each use of one.

    `opened` counts all since the start, `closed` and `failed` (uses for which none was to be had) by the
    driver's reason.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.in_use = 0
        self.closed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def idle(self) -> int:
        """Connections that nothing uses."""
        return max(0, self.opened - self.closed.total() - self.in_use)

    def connection_created(self, _: Any) -> None:
        """Count it."""
        with self._lock:
            self.opened += 1

    def connection_closed(self, event: Any) -> None:
        """Count it."""
        with self._lock:
            self.closed[event.reason] += 1

    def connection_check_out_failed(self, event: Any) -> None:
        """Count it."""
        with self._lock:
            self.failed[event.reason] += 1

    def connection_checked_out(self, _: Any) -> None:
        """Count it."""
        with self._lock:
            self.in_use += 1

    def connection_checked_in(self, _: Any) -> None:
        """Count it."""
        with self._lock:
            self.in_use -= 1

    def _ignore(self, event: Any) -> None:
        """Pass over what says nothing about numbers."""

    pool_created = pool_ready = pool_cleared = pool_closed = _ignore
    connection_ready = connection_check_out_started = _ignore


class CommandTimes(CommandListener):
    """Counts what the driver's own coroutines wait for, each command by its own time, as database time.

    The driver calls it in the thread that sends, which has the context of whoever asked for it.
    """

    def started(self, event: Any) -> None:
        """Wait for the end, which knows how long it took."""

    def succeeded(self, event: Any) -> None:
        """Count it."""
        database_time.add(event.duration_micros * MICROSECOND_S)

    def failed(self, event: Any) -> None:
        """Count it."""
        database_time.add(event.duration_micros * MICROSECOND_S)


class CommandSpans(CommandListener):
    """Records each command within a span as a span below it, by the semantic conventions for MongoDB.

    No value is in it. The driver calls it in the thread that sends, which has the context of whoever asked.
    """

    def __init__(self) -> None:
        self._running: dict[CommandKey, Span] = {}

    def started(self, event: CommandStartedEvent) -> None:
        """Begin a span below the present one, if there is one."""
        here = present()
        if here is None:
            return
        collection = _collection(event)
        name = event.command_name if collection is None else f"{event.command_name} {collection}"
        self._running[_key(event)] = here.child(name, "client", _attributes(event, collection))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """End its span."""
        span = self._running.pop(_key(event), None)
        if span is not None:
            span.end()

    def failed(self, event: CommandFailedEvent) -> None:
        """End its span as failed, with MongoDB's code where there is one."""
        span = self._running.pop(_key(event), None)
        if span is None:
            return
        code = event.failure.get("code")
        if code is not None:
            span.note("db.response.status_code", str(code))
        span.fail(str(code or event.failure.get("errtype") or "unknown"))
        span.end()


def _key(event: CommandStartedEvent | CommandSucceededEvent | CommandFailedEvent) -> CommandKey:
    return event.connection_id, event.request_id


def _collection(event: CommandStartedEvent) -> str | None:
    value = event.command.get("collection" if event.command_name == "getMore" else event.command_name)
    return value if isinstance(value, str) else None


def _attributes(event: CommandStartedEvent, collection: str | None) -> Attributes:
    host, port = event.connection_id
    attributes: dict[str, str | int | bool] = {
        "db.system.name": "mongodb",
        "db.namespace": event.database_name,
        "db.operation.name": event.command_name,
        "server.address": host,
    }
    if port is not None:
        attributes["server.port"] = port
    if collection is not None:
        attributes["db.collection.name"] = collection
    return attributes
