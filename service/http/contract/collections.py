"""All that the contract says of one collection, for those who may use some verbs in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.access.rules import Verb
from service.collections.registry import Collection
from service.http.contract import reads, writes
from service.http.contract.operations import Endpoint
from service.http.contract.parts import Part
from service.http.contract.sights import Sight

ENDPOINTS: Mapping[Verb, tuple[Callable[[Part], Endpoint], ...]] = {
    "list": (reads.list_documents, reads.query_documents, reads.list_queries),
    "create": (writes.create_documents,),
    "get": (reads.get_document,),
    "update": (writes.replace_document, writes.patch_document, writes.change_documents),
    "delete": (writes.delete_document, writes.delete_documents),
}
"""The endpoints that each verb allows."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the contract says of one collection: its endpoints, and the schemas that they refer to."""

    endpoints: tuple[Endpoint, ...]
    schemas: dict[str, Any]


def describe(collection: Collection, verbs: frozenset[Verb], sight: Sight) -> Described:
    """Describe a collection for those who may use these verbs in it, and see so much of its documents."""
    part = Part(collection, sight)
    endpoints = [make(part) for verb, makers in ENDPOINTS.items() if verb in verbs for make in makers]
    if "list" in verbs:
        endpoints += reads.run_queries(part)
    return Described(tuple(endpoints), part.schemas)
