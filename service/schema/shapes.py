"""What a value at one place may be: the keywords of every subschema that judges it, brought together."""

from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from service.query.kinds import FORMATS, Kind
from service.schema.subschemas import FREE, UNSAID, Combination, Step, Subschemas, both, either, too_complex
from service.schema.validators import build

MAXIMUM_MERGES = 20_000

REFERENCE = "x-collection"
"""The keyword that names the collection whose ids a value is one of."""

JSON_KINDS = frozenset(
    {Kind.NULL, Kind.BOOLEAN, Kind.INTEGER, Kind.NUMBER, Kind.STRING, Kind.OBJECT, Kind.ARRAY}
)
FORMAT_KINDS = frozenset(FORMATS.values())
_WIDER: dict[Kind, frozenset[Kind]] = {
    Kind.INTEGER: frozenset({Kind.NUMBER}),
    Kind.INT64: frozenset({Kind.STRING, Kind.INTEGER, Kind.NUMBER}),
} | {kind: frozenset({Kind.STRING}) for kind in FORMAT_KINDS - {Kind.INT64}}
"""The kinds whose values include those of a narrower kind."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may be: its kinds, its declared members, the rest of them, what an array holds.

    `rest` and `items` are None where nothing is said, `is_closed` where other members are refused, `is_loose`
    where alternatives leave room for what none of them says. `collections` are those whose ids it may hold.
    `is_text` tells of an `int64` that is never an integer in JSON.
    """

    kinds: frozenset[Kind] = JSON_KINDS
    members: dict[str, Combination] = field(default_factory=dict)
    rest: Combination | None = None
    items: Combination | None = None
    is_closed: bool = False
    is_loose: bool = False
    read_only: bool = False
    write_only: bool = False
    collections: frozenset[str] = frozenset()
    is_text: bool = False

    def takes(self, kind: Kind) -> bool:
        """Return whether a value may be of a kind."""
        return kind in self.kinds


class Shapes:
    """Shapes by place, each computed once; DefinitionInvalid when alternatives multiply beyond the limit."""

    def __init__(self, subschemas: Subschemas) -> None:
        self._subschemas = subschemas
        self._known: dict[Combination, Shape] = {FREE: Shape(), UNSAID: Shape(frozenset(), is_loose=True)}
        self._merges = 0

    def of(self, place: Combination) -> Shape:
        """Return the shape of values at a place; references must not run in circles there."""
        if (known := self._known.get(place)) is not None:
            return known
        if place.all_of:
            shape = reduce(self._meet, map(self.of, place.all_of))
        elif place.any_of:
            shape = reduce(self._join, map(self.of, place.any_of))
        else:
            shape = self._of_subschema(place.pointer or "")
        self._known[place] = shape
        return shape

    def _of_subschema(self, pointer: str) -> Shape:
        schema = self._subschemas.schemas[pointer]
        if isinstance(schema, bool):
            return Shape() if schema else Shape(frozenset(), is_closed=True)
        steps = self._subschemas.steps[pointer]
        groups: dict[str, list[Combination]] = {}
        for step in steps:
            groups.setdefault(step.keyword, []).append(Combination(step.target))
        members = _members(steps)
        shape = Shape(
            kinds=_kinds(schema),
            members=members,
            rest=_rest(schema, groups),
            items=_items(schema, groups),
            is_closed=_is_closed(schema),
            read_only=schema.get("readOnly") is True,
            write_only=schema.get("writeOnly") is True,
            collections=_collections(schema),
            is_text=not _stated(schema) & {Kind.INTEGER, Kind.NUMBER},
        )
        merged = reduce(self._meet, map(self.of, _in_place(groups)), shape)
        return _with_unevaluated(merged, schema, groups)

    def _meet(self, one: Shape, other: Shape) -> Shape:
        """Bring two shapes together that must both hold."""
        self._count(len(one.members) + len(other.members))
        members = {}
        for name in one.members | other.members:
            parts = (one.members.get(name, one.rest), other.members.get(name, other.rest))
            members[name] = both(*(part for part in parts if part is not None))
        rests = [part for part in (one.rest, other.rest) if part is not None]
        items = [part for part in (one.items, other.items) if part is not None]
        is_closed = one.is_closed or other.is_closed
        return Shape(
            kinds=_narrowed(_open(one), _open(other)),
            members=members,
            rest=both(*rests) if rests and not is_closed else None,
            items=both(*items) if items else None,
            is_closed=is_closed,
            is_loose=one.is_loose and other.is_loose,
            read_only=one.read_only or other.read_only,
            write_only=one.write_only or other.write_only,
            collections=one.collections | other.collections,
            is_text=_is_text(one) or _is_text(other),
        )

    def _join(self, one: Shape, other: Shape) -> Shape:
        """Bring two shapes together of which one holds, not known which."""
        self._count(len(one.members) + len(other.members))
        kinds = one.kinds | other.kinds
        is_loose = one.is_loose or other.is_loose
        if is_loose and kinds & FORMAT_KINDS:
            kinds |= {Kind.STRING}
        return Shape(
            kinds=kinds,
            members={name: _joined(name, one, other) for name in one.members | other.members},
            rest=_joined_rest(one, other),
            items=_joined_items(one, other),
            is_closed=_refuses_members(one) and _refuses_members(other),
            is_loose=is_loose,
            read_only=one.read_only or other.read_only,
            write_only=one.write_only or other.write_only,
            collections=one.collections | other.collections,
            is_text=_is_text(one) and _is_text(other),
        )

    def _count(self, members: int) -> None:
        self._merges += 1 + members
        if self._merges > MAXIMUM_MERGES:
            raise too_complex()


def _stated(schema: dict[str, Any]) -> frozenset[Kind]:
    """Return the kinds of JSON that a schema states itself."""
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return frozenset(Kind(name) for name in names)
    if "const" in schema:
        return frozenset({kind_of(schema["const"])})
    return frozenset(map(kind_of, schema["enum"])) if "enum" in schema else JSON_KINDS


def _kinds(schema: dict[str, Any]) -> frozenset[Kind]:
    kinds = _stated(schema)
    chosen = FORMATS.get(str(schema.get("format")))
    if chosen is Kind.INT64 and kinds & {Kind.STRING, Kind.INTEGER}:
        return kinds - {Kind.STRING} - ({Kind.INTEGER} if Kind.STRING in kinds else set()) | {chosen}
    if chosen is not None and Kind.STRING in kinds:
        return kinds - {Kind.STRING} | {chosen}
    return kinds


def _members(steps: tuple[Step, ...]) -> dict[str, Combination]:
    """Return the declared members, each with the patterns of names that judge it too."""
    members = {str(step.name): Combination(step.target) for step in steps if step.keyword == "properties"}
    for step in steps if members else ():
        if step.keyword == "patternProperties":
            nothing = build({"patternProperties": {str(step.name): False}})
            members |= {
                name: both(place, Combination(step.target))
                for name, place in members.items()
                if not nothing.is_valid({name: None})
            }
    return members


def _collections(schema: dict[str, Any]) -> frozenset[str]:
    name = schema.get(REFERENCE)
    return frozenset({name}) if isinstance(name, str) else frozenset()


def kind_of(value: Any) -> Kind:
    """Return the kind of a JSON value.

    >>> kind_of(True), kind_of([1])
    (<Kind.BOOLEAN: 'boolean'>, <Kind.ARRAY: 'array'>)
    """
    kinds = {bool: Kind.BOOLEAN, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.STRING}
    return kinds.get(type(value), Kind.NULL if value is None else _container(value))


def _container(value: Any) -> Kind:
    return Kind.OBJECT if isinstance(value, dict) else Kind.ARRAY


def _narrowed(one: frozenset[Kind], other: frozenset[Kind]) -> frozenset[Kind]:
    def within(kinds: frozenset[Kind], bounds: frozenset[Kind]) -> set[Kind]:
        return {kind for kind in kinds if kind in bounds or _WIDER.get(kind, frozenset()) & bounds}

    kinds = frozenset(within(one, other) | within(other, one))
    is_implied = Kind.NUMBER in kinds and not (Kind.INTEGER in one and Kind.INTEGER in other)
    return kinds - {Kind.INTEGER} if is_implied else kinds


def _open(shape: Shape) -> frozenset[Kind]:
    return shape.kinds | JSON_KINDS if shape.is_loose else shape.kinds


def _is_text(shape: Shape) -> bool:
    return shape.is_text or not _open(shape) & {Kind.INT64, Kind.INTEGER, Kind.NUMBER}


def _refuses_members(shape: Shape) -> bool:
    return shape.is_closed or not (shape.takes(Kind.OBJECT) or shape.is_loose)


def _joined(name: str, one: Shape, other: Shape) -> Combination:
    parts = []
    for shape in (one, other):
        if (part := shape.members.get(name, shape.rest)) is not None:
            parts.append(part)
        elif not _refuses_members(shape):
            parts.append(UNSAID)
    return either(*parts)


def _joined_rest(one: Shape, other: Shape) -> Combination | None:
    if one.rest is None and other.rest is None:
        return None
    shapes = [shape for shape in (one, other) if shape.rest is not None or not _refuses_members(shape)]
    return either(*(shape.rest or UNSAID for shape in shapes))


def _joined_items(one: Shape, other: Shape) -> Combination | None:
    if one.items is None and other.items is None:
        return None
    parts = [
        shape.items or UNSAID
        for shape in (one, other)
        if shape.items is not None or shape.takes(Kind.ARRAY) or shape.is_loose
    ]
    return either(*parts)


def _rest(schema: dict[str, Any], groups: dict[str, list[Combination]]) -> Combination | None:
    patterns = groups.get("patternProperties", [])
    additional = schema.get("additionalProperties")
    if additional is None:
        return either(*patterns, UNSAID) if patterns else None
    if additional is False:
        return either(*patterns) if patterns else None
    return either(*patterns, FREE if additional is True else groups["additionalProperties"][0])


def _is_closed(schema: dict[str, Any]) -> bool:
    return schema.get("additionalProperties") is False and not schema.get("patternProperties")


def _with_unevaluated(shape: Shape, schema: dict[str, Any], groups: dict[str, list[Combination]]) -> Shape:
    """Add what is said of the members and elements that no other keyword in place has judged."""
    if "unevaluatedProperties" in groups and not shape.is_closed:
        said = groups["unevaluatedProperties"]
        if schema["unevaluatedProperties"] is False:
            shape = replace(shape, is_closed=shape.rest is None)
        else:
            shape = replace(shape, rest=either(*said if shape.rest is None else (shape.rest, *said)))
    if schema.get("unevaluatedItems") not in (None, False):
        said = groups["unevaluatedItems"]
        shape = replace(shape, items=either(*said if shape.items is None else (shape.items, *said)))
    return shape


def _items(schema: dict[str, Any], groups: dict[str, list[Combination]]) -> Combination | None:
    parts = groups.get("prefixItems", [])
    if "items" in schema:
        said = schema["items"]
        parts = [*parts, *(groups["items"] if isinstance(said, dict) else [FREE] if said else [])]
    elif parts:
        parts = [*parts, UNSAID]
    items = either(*parts) if parts else None
    if "contains" in groups:
        return both(items or FREE, either(groups["contains"][0], FREE))
    return items


def _in_place(groups: dict[str, list[Combination]]) -> list[Combination]:
    """Return the places that judge the same value: each of them must hold."""
    places = [place for keyword in ("$ref", "$dynamicRef", "allOf") for place in groups.get(keyword, [])]
    places += [either(*groups[keyword]) for keyword in ("anyOf", "oneOf") if groups.get(keyword)]
    places += [either(place, FREE) for place in groups.get("dependentSchemas", [])]
    branches = [place for keyword in ("then", "else") for place in groups.get(keyword, [])]
    if branches and "if" in groups:
        places.append(either(*branches) if len(branches) > 1 else either(*branches, FREE))
    return places
