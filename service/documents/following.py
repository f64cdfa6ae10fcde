"""The documents that one request's references lead to: read level by level, written once each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

import orjson
from bson import ObjectId

from service.collections.registry import Collection
from service.documents import encoding, ids, reading, visibility
from service.documents.targets import Targets
from service.documents.visibility import View
from service.kit.errors import IdInvalid, ParameterInvalid, Violation
from service.kit.tasks import Breather
from service.query.expansions import Expansion
from service.query.limits import (
    MAXIMUM_EXPANDED_BYTES,
    MAXIMUM_EXPANDED_DOCUMENTS,
    MAXIMUM_EXPANDED_REFERENCES,
)
from service.query.tree import Path
from service.storage.transactions import session

EXPANDED = "_expanded"
"""The member, beside references, that holds the documents that they lead to; no client's field begins so."""

Steps: TypeAlias = dict[str, "Steps | Expansion"]
"""The references to follow, by the names on the way to them."""


def steps_to(expansions: Iterable[Expansion]) -> Steps:
    """Bring the paths of references together by their names."""
    steps: Steps = {}
    for expansion in expansions:
        here: Any = steps
        for name in expansion.path[:-1]:
            here = here.setdefault(name, {})
        here[expansion.path[-1]] = expansion
    return steps


@dataclass(slots=True)
class _Loaded:
    """What has been read of one collection, by id: views, None for the absent; JSON, by what was added."""

    collection: Collection | None
    views: dict[Any, View | None] = field(default_factory=dict)
    texts: dict[tuple[Expansion | None, Any], bytes] = field(default_factory=dict)


class Followed:
    """The documents that the references of some views lead to, within the limits of one request."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._loaded: dict[str, _Loaded] = {}
        self._references = 0
        self._documents = 0
        self._read_bytes = 0
        self._written_bytes = 0

    async def read(self, expansions: Iterable[Expansion], views: Iterable[View]) -> None:
        """Read all documents, by one query for each collection that a level leads to.

        Raises ParameterInvalid when a limit is passed, SignInRequired or Forbidden as `Targets.find` does.
        """
        level = [(expansion, views) for expansion in expansions]
        while level:
            found = [(expansion, self._ids(expansion, holders)) for expansion, holders in level]
            wanted: dict[str, dict[Any, None]] = {}
            for expansion, document_ids in found:
                wanted.setdefault(expansion.target, {}).update(document_ids)
            for name, document_ids in wanted.items():
                await self._read(self._loaded[name], document_ids)
            level = [
                (below, self._views(expansion.target, document_ids))
                for expansion, document_ids in found
                for below in expansion.below
            ]

    def _ids(self, expansion: Expansion, holders: Iterable[View]) -> dict[Any, None]:
        """Give the ids that a reference has in views, each once."""
        if expansion.target not in self._loaded:
            self._loaded[expansion.target] = _Loaded(self._targets.find(expansion.target))
        collection = self._loaded[expansion.target].collection
        found: dict[Any, None] = {}
        for value in _values(holders, expansion.path):
            self._references += 1
            if self._references > MAXIMUM_EXPANDED_REFERENCES:
                raise _beyond(f"follow more than {MAXIMUM_EXPANDED_REFERENCES} references")
            if collection is not None and (document_id := _id(collection, value)) is not None:
                found[document_id] = None
        return found

    def _views(self, name: str, document_ids: Iterable[Any]) -> list[View]:
        known = self._loaded[name].views
        return [view for each in document_ids if (view := known.get(each)) is not None]

    async def _read(self, loaded: _Loaded, document_ids: Iterable[Any]) -> None:
        """Read the documents that have not been read yet, narrowed by the rule as a read by id is."""
        missing = [each for each in document_ids if each not in loaded.views]
        collection = loaded.collection
        if collection is None or not missing:
            return
        self._documents += len(missing)
        if self._documents > MAXIMUM_EXPANDED_DOCUMENTS:
            raise _beyond(f"read more than {MAXIMUM_EXPANDED_DOCUMENTS} documents")
        decision = self._targets.decision(collection)
        loaded.views.update(dict.fromkeys(missing))
        cursor = collection.documents.find(
            reading.selector({"$in": missing}, decision.where), batch_size=len(missing), session=session()
        )
        breather = Breather()
        async for document in cursor:
            await breather.breathe()
            view = visibility.shown(collection, decision, document)
            text = encoding.dump(view)
            self._read_bytes += len(text)
            if self._read_bytes > MAXIMUM_EXPANDED_BYTES:
                await cursor.close()
                raise _beyond(f"read more than {MAXIMUM_EXPANDED_BYTES} bytes")
            loaded.views[document["_id"]] = view
            loaded.texts[None, document["_id"]] = text

    def expanded(self, value: Any, steps: Steps) -> Any:
        """Give a value with `_expanded` in each object on the way that holds references; ParameterInvalid."""
        if isinstance(value, list):
            return [self.expanded(each, steps) for each in value]
        if not isinstance(value, dict):
            return value
        copy = dict(value)
        expanded: dict[str, Any] = {}
        for name, step in steps.items():
            if isinstance(step, Expansion):
                copy[EXPANDED] = expanded
                if name in value:
                    expanded[name] = self._document(step, value[name])
            elif name in value:
                copy[name] = self.expanded(value[name], step)
        return copy

    def _document(self, expansion: Expansion, value: Any) -> Any:
        """Give the JSON of the document that a reference leads to, an array for an array of them."""
        if isinstance(value, list):
            return [self._document(expansion, each) for each in value]
        loaded = self._loaded[expansion.target]
        document_id = None if loaded.collection is None else _id(loaded.collection, value)
        view = loaded.views.get(document_id)
        if view is None:
            return None
        key = (expansion if expansion.below else None, document_id)
        if key not in loaded.texts:
            loaded.texts[key] = encoding.dump(self.expanded(view, steps_to(expansion.below)))
        text = loaded.texts[key]
        self._written_bytes += len(text)  # before many copies are made of one large document
        if self._written_bytes > MAXIMUM_EXPANDED_BYTES:
            raise _beyond(f"add more than {MAXIMUM_EXPANDED_BYTES} bytes")
        return orjson.Fragment(text)


def _values(holders: Iterable[Any], path: Path) -> Iterator[Any]:
    """Give what stands at a path in views, arrays looked through."""
    for holder in holders:
        if isinstance(holder, list):
            yield from _values(holder, path)
        elif not path:
            yield holder
        elif isinstance(holder, dict) and path[0] in holder:
            yield from _values([holder[path[0]]], path[1:])


def _id(collection: Collection, value: Any) -> Any:
    """Read a reference as an id of a collection, in whatever type it is stored; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | ObjectId | UUID):
        return None
    try:
        return ids.parse(collection, str(value))
    except IdInvalid:
        return None


def _beyond(what: str) -> ParameterInvalid:
    detail = f"`expand` would {what}"
    hint = "Ask for fewer documents by `limit`, or for fewer references."
    violation = Violation(detail, "too_complex", parameter="expand", hint=hint)
    return ParameterInvalid(detail, hint=hint, errors=[violation])
