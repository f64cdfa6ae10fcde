"""What is shown of documents beyond their own members: the documents that their references lead to.

References are followed level by level, each document is read and written once.
"""

from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from uuid import UUID

import orjson
from bson import ObjectId

from service.access.decisions import Decision
from service.access.principals import Principal
from service.collections.registry import Collection, Registry
from service.documents import encoding, ids, visibility
from service.documents.access import Access
from service.documents.visibility import View
from service.kit.errors import (
    CollectionNotFound,
    Forbidden,
    IdInvalid,
    ParameterInvalid,
    SignInRequired,
    Violation,
)
from service.kit.tasks import Breather
from service.query import masks
from service.query.expansions import Expansion, plan
from service.query.fields import Field
from service.query.limits import (
    MAXIMUM_EXPANDED_BYTES,
    MAXIMUM_EXPANDED_DOCUMENTS,
    MAXIMUM_EXPANDED_REFERENCES,
)
from service.query.parse import ViewQuery
from service.query.tree import ListQuery, Path, Selection, is_within, outermost

EXPANDED = "_expanded"
"""The member, beside references, that holds the documents that they lead to; no client's field begins so."""

Steps: TypeAlias = dict[str, "Steps | Expansion"]
"""The references to follow, by the names on the way to them."""


class References:
    """Where the references of a request may lead: other collections, as the same caller may read them."""

    __slots__ = ("_found", "_principal", "_registry")

    def __init__(self, registry: Registry, principal: Principal) -> None:
        self._registry = registry
        self._principal = principal
        self._found: dict[str, Access | None] = {}

    def find(self, name: str) -> Access | None:
        """Find the caller's access to a collection, None when there is no collection of that name.

        Raises SignInRequired or Forbidden when its rules let the caller read none of its documents.
        """
        if name not in self._found:
            self._found[name] = self._access(name)
        return self._found[name]

    def _access(self, name: str) -> Access | None:
        try:
            access = Access(self._registry.get(name), self._principal)
        except CollectionNotFound:
            return None
        try:
            access.permit("get")
        except (SignInRequired, Forbidden) as refusal:
            refusal.detail = f"`expand` needs the right to read documents of `{name}`"
            refusal.errors = (Violation(refusal.detail, refusal.code, parameter="expand"),)
            raise
        return access

    def fields_of(self, name: str) -> Field | None:
        """Return the fields that the caller may see of a collection's documents, to read paths through it.

        Raises what `find` raises.
        """
        access = self.find(name)
        return None if access is None else visibility.fields_of(access.collection, access.permit("get"))


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """What is shown of each document: the selected fields, and the documents that references lead to."""

    selection: Selection | None = None
    expansions: tuple[Expansion, ...] = ()

    def to_read(self) -> Selection | None:
        """Return the fields to read: those to show, and the references to follow, shown or not."""
        selection = self.selection
        if selection is None or not self.expansions:
            return selection
        references = [expansion.path for expansion in self.expansions]
        paths = selection.paths
        if selection.is_exclusion:
            paths = tuple(path for path in paths if not any(is_within(each, path) for each in references))
        else:
            paths = outermost((*paths, *references))
        return replace(selection, paths=paths) if paths else None


WHOLE = ViewPlan()
"""All that may be seen of a document, and nothing beside it."""


def view_plan(references: References, fields: Field, query: ListQuery | ViewQuery) -> ViewPlan:
    """Plan what a query shows of documents with these fields; raises what `References.find` raises."""
    if query.selection is None and not query.expand:
        return WHOLE
    return ViewPlan(query.selection, plan(fields, query.expand, references.fields_of))


async def views(
    references: References,
    collection: Collection,
    decision: Decision,
    documents: Iterable[dict[str, Any]],
    shown: ViewPlan,
) -> list[View]:
    """Return the views of stored documents that were read under a decision.

    Each object that holds a reference to expand has `_expanded`, where the reference's name has the document
    that it leads to: null when that is absent or hidden by a rule, an array for an array. No reference is
    followed that the decision does not show. Raises SignInRequired or Forbidden for a collection of which the
    caller may read nothing, ParameterInvalid when a limit is passed.
    """
    found = await _seen(collection, decision, documents)
    selection = shown.selection
    if shown.expansions:
        resolved = _ResolvedReferences(references)
        await resolved.read(shown.expansions, found)
        steps = _steps_to(shown.expansions)
        found = [resolved.expanded(view, steps) for view in found]
        selection = _with_expanded(selection, shown.expansions)
    if selection is None:
        return found
    mask = masks.selecting(selection)
    return [masks.shown(view, mask) for view in found]


async def _seen(
    collection: Collection, decision: Decision, documents: Iterable[dict[str, Any]]
) -> list[View]:
    """Return all that may be seen of documents; between large ones, other requests go on."""
    found: list[View] = []
    breather = Breather()
    for document in documents:
        await breather.breathe()
        found.append(visibility.view(collection, decision, document))
    return found


def _with_expanded(selection: Selection | None, expansions: Iterable[Expansion]) -> Selection | None:
    """Add what is expanded to a selection; it is shown unless all around it is left out."""
    if selection is None or selection.is_exclusion:
        return selection
    beside = ((*expansion.path[:-1], EXPANDED) for expansion in expansions)
    return replace(selection, paths=outermost((*selection.paths, *beside)))


def _steps_to(expansions: Iterable[Expansion]) -> Steps:
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

    access: Access | None
    views: dict[Any, View | None] = field(default_factory=dict)
    texts: dict[tuple[Expansion | None, Any], bytes] = field(default_factory=dict)


class _ResolvedReferences:
    """The documents that the references of some views lead to, within the limits of one request."""

    def __init__(self, references: References) -> None:
        self._collections = references
        self._loaded: dict[str, _Loaded] = {}
        self._references = 0
        self._documents = 0
        self._read_bytes = 0
        self._written_bytes = 0

    async def read(self, expansions: Iterable[Expansion], views: Iterable[View]) -> None:
        """Read all documents, by one query for each collection that a level leads to.

        Raises ParameterInvalid when a limit is passed, SignInRequired or Forbidden as `References.find` does.
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
        """Return the ids that a reference has in views, each once."""
        if expansion.target not in self._loaded:
            self._loaded[expansion.target] = _Loaded(self._collections.find(expansion.target))
        access = self._loaded[expansion.target].access
        found: dict[Any, None] = {}
        for value in _values(holders, expansion.path):
            self._references += 1
            if self._references > MAXIMUM_EXPANDED_REFERENCES:
                raise _beyond(f"follow more than {MAXIMUM_EXPANDED_REFERENCES} references")
            if access is not None and (document_id := _id(access.collection, value)) is not None:
                found[document_id] = None
        return found

    def _views(self, name: str, document_ids: Iterable[Any]) -> list[View]:
        known = self._loaded[name].views
        return [view for each in document_ids if (view := known.get(each)) is not None]

    async def _read(self, loaded: _Loaded, document_ids: Iterable[Any]) -> None:
        """Read the documents that have not been read yet, narrowed by the rule as a read by id is."""
        missing = [each for each in document_ids if each not in loaded.views]
        access = loaded.access
        if access is None or not missing:
            return
        self._documents += len(missing)
        if self._documents > MAXIMUM_EXPANDED_DOCUMENTS:
            raise _beyond(f"read more than {MAXIMUM_EXPANDED_DOCUMENTS} documents")
        collection, decision = access.collection, access.permit("get")
        loaded.views.update(dict.fromkeys(missing))
        breather = Breather()
        async with aclosing(collection.store.get_many(missing, decision.where)) as documents:
            async for document in documents:
                await breather.breathe()
                view = visibility.view(collection, decision, document)
                text = encoding.dump(view)
                self._read_bytes += len(text)
                if self._read_bytes > MAXIMUM_EXPANDED_BYTES:
                    raise _beyond(f"read more than {MAXIMUM_EXPANDED_BYTES} bytes")
                loaded.views[document["_id"]] = view
                loaded.texts[None, document["_id"]] = text

    def expanded(self, value: Any, steps: Steps) -> Any:
        """Add `_expanded` to each object on the way that holds references; raises ParameterInvalid."""
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
        """Return the JSON of the document that a reference leads to, an array for an array of them."""
        if isinstance(value, list):
            return [self._document(expansion, each) for each in value]
        loaded = self._loaded[expansion.target]
        document_id = None if loaded.access is None else _id(loaded.access.collection, value)
        view = loaded.views.get(document_id)
        if view is None:
            return None
        key = (expansion if expansion.below else None, document_id)
        if key not in loaded.texts:
            loaded.texts[key] = encoding.dump(self.expanded(view, _steps_to(expansion.below)))
        text = loaded.texts[key]
        self._written_bytes += len(text)  # before many copies are made of one large document
        if self._written_bytes > MAXIMUM_EXPANDED_BYTES:
            raise _beyond(f"add more than {MAXIMUM_EXPANDED_BYTES} bytes")
        return orjson.Fragment(text)


def _values(holders: Iterable[Any], path: Path) -> Iterator[Any]:
    """Iterate over what stands at a path in views, arrays looked through."""
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
