"""A connection that notes what is sent to MongoDB."""

from typing import Any

from pymongo.monitoring import CommandListener, CommandStartedEvent

from service.storage import database as databases
from service.storage.database import Database


class Commands(CommandListener):
    """Notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[CommandStartedEvent] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append(event)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass

    def names(self) -> list[str]:
        return [event.command_name for event in self.sent if event.command_name != "hello"]


def connect(uri: str, name: str, timeout_s: float = 10) -> tuple[Database, Commands]:
    commands = Commands()
    opened = databases.connect(
        uri,
        name,
        pool_size=5,
        selection_timeout_s=5,
        operation_timeout_s=timeout_s,
        listeners=[commands],
    )
    return opened, commands
