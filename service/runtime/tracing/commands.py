"""The driver's commands as parts of traces, by the semantic conventions for MongoDB; no value is in them."""

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from service.runtime.tracing.spans import Attributes, Span, present

Place = tuple[tuple[str, int | None], int]


class Commands(CommandListener):
    """Records each command that the driver sends within a part of a trace.

    The driver calls it in the thread that sends, which has the context of whoever asked for it.
    """

    def __init__(self) -> None:
        self._running: dict[Place, Span] = {}

    def started(self, event: CommandStartedEvent) -> None:
        """Begin a span below the present one, if there is one."""
        here = present()
        if here is None:
            return
        collection = _collection(event)
        name = event.command_name if collection is None else f"{event.command_name} {collection}"
        self._running[_place(event)] = here.child(name, "client", _attributes(event, collection))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """End its span."""
        span = self._running.pop(_place(event), None)
        if span is not None:
            span.end()

    def failed(self, event: CommandFailedEvent) -> None:
        """End its span as one that failed, with MongoDB's code where it gave one."""
        span = self._running.pop(_place(event), None)
        if span is None:
            return
        code = event.failure.get("code")
        if code is not None:
            span.note("db.response.status_code", str(code))
        span.fail(str(code or event.failure.get("errtype") or "unknown"))
        span.end()


def _place(event: CommandStartedEvent | CommandSucceededEvent | CommandFailedEvent) -> Place:
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
