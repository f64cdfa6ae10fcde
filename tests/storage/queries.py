"""Queries with the collections that they are for, run as storage runs them."""

from collections.abc import Sequence
from typing import Any

from service.storage import commands
from service.storage.commands import Find


class Query(Find):
    """A query of a driver's synchronous collection."""

    def __init__(self, documents: Any, where: dict[str, Any], **options: Any) -> None:
        super().__init__(documents.name, where, **options)
        self.documents = documents


def alone(query: Query) -> list[bytes]:
    return commands.alone(query.documents, query)


def together(queries: Sequence[Query]) -> list[list[bytes]]:
    return commands.together(queries[0].documents, queries)
