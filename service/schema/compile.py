"""Compile a checked schema, once per definition version, into all that the engine asks of it."""

import copy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any

from jsonschema_rs import Draft202012Validator

from service.kit.errors import MAXIMUM_VIOLATIONS, Violation
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.masks import Mask
from service.schema import encoding, field_tree, masks
from service.schema.explain import beyond_int64, explain
from service.schema.field_tree import build_tree, leading_to, reachable
from service.schema.shapes import FORMAT_KINDS
from service.schema.subschemas import Step, Subschemas, collect
from service.schema.validators import STORABLE, build

_CERTAIN = ("$ref", "$dynamicRef", "allOf")
"""Keywords in place whose subschemas hold whatever the value is; defaults of alternatives are not applied."""


_UNCHANGING = (str, int, float, bool, type(None))
"""Types of values that need no copy."""


class Defaults:
    """The defaults at one place: of members, below members, in an array; a recursive schema gives a cycle."""

    __slots__ = ("below", "items", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.below: dict[str, Defaults] = {}
        self.items: Defaults | None = None


def find_defaults(subschemas: Subschemas) -> Defaults | None:
    """Find the defaults of a schema; None when it has none.

    A member's own `default` goes before one that it refers to.
    """
    if not any(isinstance(schema, dict) and "default" in schema for schema in subschemas.schemas.values()):
        return None
    known: dict[tuple[str, ...], Defaults] = {}
    waiting: list[tuple[str, ...]] = []

    def at(pointers: tuple[str, ...]) -> Defaults:
        if pointers not in known:
            known[pointers] = Defaults()
            waiting.append(pointers)
        return known[pointers]

    root = at(("",))
    while waiting:
        pointers = waiting.pop()
        members, items = _parts(subschemas, pointers)
        here = known[pointers]
        for name, judges in members.items():
            for schema in (subschemas.schemas[pointer] for pointer in _certain(subschemas, judges)):
                if isinstance(schema, dict) and "default" in schema:
                    here.values.setdefault(name, schema["default"])
            here.below[name] = at(judges)
        here.items = at(items) if items else None
    _prune(known.values())
    return root


def _prune(places: Iterable[Defaults]) -> None:
    """Forget the ways that lead to no default: nothing has to be looked for there."""
    fruitful = {id(place) for place in places if place.values}
    count = -1
    while count != len(fruitful):
        count = len(fruitful)
        fruitful |= {
            id(place)
            for place in places
            if any(id(below) in fruitful for below in (*place.below.values(), place.items))
        }
    for place in places:
        place.below = {name: below for name, below in place.below.items() if id(below) in fruitful}
        if id(place.items) not in fruitful:
            place.items = None


def _certain(subschemas: Subschemas, pointers: tuple[str, ...]) -> Iterator[str]:
    waiting = list(reversed(pointers))
    while waiting:
        pointer = waiting.pop()
        yield pointer
        waiting.extend(step.target for step in subschemas.steps[pointer] if step.keyword in _CERTAIN)


def _parts(
    subschemas: Subschemas, pointers: tuple[str, ...]
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    steps: list[Step] = [
        step for pointer in _certain(subschemas, pointers) for step in subschemas.steps[pointer]
    ]
    members: dict[str, tuple[str, ...]] = {}
    for step in steps:
        if step.keyword == "properties":
            before = members.get(str(step.name), ())
            members[str(step.name)] = tuple(dict.fromkeys((*before, step.target)))
    items = tuple(dict.fromkeys(step.target for step in steps if step.keyword == "items"))
    return members, items


def complete_members(value: Any, defaults: Defaults) -> Any:
    """Return a value with the defaults of what is missing in it; the same value when nothing is.

    A default is taken as it is written, so one that contains its own place again comes to an end.
    """
    if isinstance(value, dict):
        return _complete_parts(value, defaults)
    if isinstance(value, list) and defaults.items is not None:
        below = defaults.items
        completed = [complete_members(part, below) for part in value]
        return completed if any(new is not old for new, old in zip(completed, value, strict=True)) else value
    return value


def _complete_parts(value: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    added = {
        name: default if type(default) in _UNCHANGING else copy.deepcopy(default)
        for name, default in defaults.values.items()
        if name not in value
    }
    for name, below in defaults.below.items():
        member = value.get(name)
        if isinstance(member, dict | list) and (completed := complete_members(member, below)) is not member:
            added[name] = completed
    return {**value, **added} if added else value


Mark = Callable[[Field], Field]


def unseen(root: Field, readable: Mask) -> Field:
    """Return a document's Field with all write-only that a mask leaves out, also what no schema tells of."""
    return _Marking(lambda field: replace(field, write_only=True)).of(root, readable)


def unwritable(root: Field, writable: Mask) -> Field:
    """Return a document's Field with all read-only that a mask leaves out, also what no schema tells of."""
    return _Marking(lambda field: replace(field, read_only=True)).of(root, writable)


class _Marking:
    """Marks what masks leave out, and shares the rest; each Field once, for arrays may hold themselves."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._made: dict[tuple[Field, int], Field] = {}

    def of(self, original: Field, mask: Mask) -> Field:
        """Return a Field with a mark on what is left out of its values."""
        if mask.shows_all:
            return original
        if mask.hides_all:
            return self._mark(original)
        key = (original, id(mask))
        if key not in self._made:
            self._made[key] = marked = replace(original)
            _mark(marked, "fields", MappingProxyType(self._members(original, mask)))
            if not mask.rest:
                _mark(marked, "others", self._mark(original.others or Field()))
            if original.items is not None:
                _mark(marked, "items", self.of(original.items, mask))
        return self._made[key]

    def _members(self, original: Field, mask: Mask) -> Mapping[str, Field]:
        names = dict.fromkeys((*original.fields, *mask.members))
        undeclared = original.others or Field()
        return {name: self.of(original.fields.get(name, undeclared), mask.of(name)) for name in names}


def _mark(field: Field, name: str, value: object) -> None:
    object.__setattr__(field, name, value)  # frozen for all others; a cyclic one is closed after it exists


_TEXT_OR_NULL = frozenset({Kind.STRING, Kind.NULL})
_SYSTEM: dict[str, Field] = {
    "_version": Field(frozenset({Kind.INTEGER}), read_only=True),
    "_created_at": Field(frozenset({Kind.DATE_TIME}), read_only=True, has_formats=True),
    "_updated_at": Field(frozenset({Kind.DATE_TIME}), read_only=True, has_formats=True),
    "_owner": Field(_TEXT_OR_NULL, read_only=True),
}
_KEPT = frozenset({"id", *_SYSTEM})
"""Members that the service keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A collection's schema, ready: `source` as it was given, `root` with the system fields, for queries.

    All methods take documents without side effects: they give the same object when nothing changes.
    """

    source: dict[str, Any]
    root: Field
    has_text_forms: bool
    _body: Field
    _subschemas: Subschemas
    _validator: Draft202012Validator
    _defaults: Defaults | None
    _read_only: frozenset[Field]
    _write_only: frozenset[Field]
    _unwritable: frozenset[Field]
    _told: frozenset[Field]

    def violations(self, document: dict[str, Any]) -> list[Violation]:
        """Return every violation by a document as JSON without system fields; empty when it is valid."""
        if not self._validator.is_valid(document):
            return explain(self._validator, self._subschemas, self._body, document)
        return [] if STORABLE.is_valid(document) else list(islice(beyond_int64(document), MAXIMUM_VIOLATIONS))

    def targets(self) -> Iterator[tuple[str, str]]:
        """Return the pointer and the value of each `x-collection`."""
        return field_tree.reference_targets(self._subschemas)

    def with_defaults(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a new document with the schema's defaults for what it does not have."""
        if self._defaults is None:
            return document
        completed: dict[str, Any] = complete_members(document, self._defaults)
        return completed

    def encode(self, document: dict[str, Any]) -> dict[str, Any]:
        """Turn a valid document into what is stored, by the schema's formats; system fields stay as they are.

        Raises DocumentInvalid for a value that its format cannot store.
        """
        if not self._body.has_formats:
            return document
        encoded: dict[str, Any] = encoding.encode(document, self._body)
        return encoded

    def read_only_violations(
        self, body: dict[str, Any], stored_json: dict[str, Any] | None
    ) -> list[Violation]:
        """Return the read-only members, system fields included, whose values are not the present document's.

        `stored_json` is that document as JSON, None for a new one: then there may be none at all.
        """
        if self._body not in self._read_only and _KEPT.isdisjoint(body):
            return []
        present = [] if stored_json is None else [stored_json]
        return list(masks.read_only_violations(body, self.root, present, self._read_only))

    def read_only_removals(self, body: dict[str, Any], stored_json: dict[str, Any]) -> list[Violation]:
        """Return the read-only members of the present document that a changed one lacks; both are JSON."""
        if self._body not in self._read_only:
            return []
        return list(masks.read_only_removals(body, self._body, stored_json, self._read_only))

    def keep_unwritable(self, body: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
        """Return a replacing body with the read-only and write-only members that it leaves out.

        As they are in `present`; both are JSON. The system fields are not added: the engine sets them itself.
        """
        if self._body not in self._unwritable:
            return body
        return masks.keep_unwritable(body, present, self._body, self._unwritable)

    def visible(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a stored document without its write-only members."""
        if self._body not in self._write_only:
            return document
        seen: dict[str, Any] = masks.visible(document, self._body, self._write_only)
        return seen

    def hides_below(self, field: Field | None) -> bool:
        """Return whether a value at one of this schema's Fields is or has write-only members."""
        return field in self._write_only

    def visible_part(self, value: Any, field: Field | None) -> Any:
        """Return a value at one of this schema's Fields without its write-only members."""
        if field is None or field not in self._write_only:
            return value
        return masks.visible(value, field, self._write_only)

    def restricted(self, readable: Mask, writable: Mask) -> "Schema":
        """Return the schema as a caller has it who may read and write no more than masks say.

        The rest is write-only and read-only to it, besides what is so for everybody.
        """
        return self if readable.shows_all and writable.shows_all else self._restricted(readable, writable)

    @lru_cache(maxsize=256)  # noqa: B019  # one for each rule that has masks; these and schemas are few
    def _restricted(self, readable: Mask, writable: Mask) -> "Schema":
        root = unwritable(unseen(self.root, readable), writable)
        own = {name: field for name, field in root.fields.items() if name != "id" and name not in _SYSTEM}
        body = replace(self._body, fields=own, others=root.others)
        return _complete(self.source, self._subschemas, self._validator, root, body)

    def with_text_forms(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a stored document with text where only the schema knows it: days, and long `int64`s."""
        if not self.has_text_forms:
            return document
        told: dict[str, Any] = encoding.with_text_forms(document, self._body, self._told)
        return told


def compile(schema: dict[str, Any], id_kind: Kind = Kind.OBJECT_ID) -> Schema:  # noqa: A001  # read as schema.compile
    """Compile a schema that `check` accepts, for documents whose ids are of a kind."""
    subschemas = collect(schema, maximum=sys.maxsize)
    body = build_tree(subschemas)
    identity = Field(frozenset({id_kind}), read_only=True, has_formats=id_kind in FORMAT_KINDS)
    root = Field(
        kinds=frozenset({Kind.OBJECT}),
        fields={"id": identity, **body.fields, **_SYSTEM},
        others=body.others,
        has_formats=True,
    )
    return _complete(schema, subschemas, build(schema), root, body)


def _complete(
    source: dict[str, Any],
    subschemas: Subschemas,
    validator: Draft202012Validator,
    root: Field,
    body: Field,
) -> Schema:
    """Find which Fields lead to those that must be treated specially."""
    fields = [*reachable(root), body]

    def leading(claim: Callable[[Field], bool]) -> frozenset[Field]:
        return leading_to(fields, claim)

    told = leading(encoding.is_told)
    return Schema(
        source=source,
        root=root,
        has_text_forms=body in told,
        _body=body,
        _subschemas=subschemas,
        _validator=validator,
        _defaults=find_defaults(subschemas),
        _read_only=leading(lambda field: field.read_only),
        _write_only=leading(lambda field: field.write_only),
        _unwritable=leading(lambda field: field.read_only or field.write_only),
        _told=told,
    )
