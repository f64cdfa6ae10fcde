"""Writes as whoever runs commands on the service's own machine makes them, without HTTP."""

from typing import Any

from service.access.principals import OPERATOR
from service.collections.registry import Collection
from service.documents import writing
from service.documents.access import Access


def access(collection: Collection) -> Access:
    return Access(collection, OPERATOR)


async def created(collection: Collection, body: dict[str, Any]) -> dict[str, Any]:
    """Create a document; returns it as stored."""
    return (await collection.store.write(writing.create(access(collection), body))).document
