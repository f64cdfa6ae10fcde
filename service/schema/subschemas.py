"""Every subschema of a JSON Schema by its pointer, and which of them judge the same value or its parts."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote

from service.kit.errors import DefinitionInvalid, Violation
from service.kit.json_values import escape_pointer

IN_PLACE = frozenset(
    {"not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas", "$ref", "$dynamicRef"}
)
"""Keywords whose subschemas judge the very value that the schema judges."""

REFERENCES = ("$ref", "$dynamicRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_SINGLE = (
    "not", "if", "then", "else", "additionalProperties", "unevaluatedProperties", "propertyNames",
    "items", "unevaluatedItems", "contains", "contentSchema",
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_INERT = frozenset({"$defs", "definitions", "contentSchema"})


@dataclass(frozen=True, slots=True)
class Step:
    """A way from one subschema to another: the keyword, a member's name or position, the target's pointer."""

    keyword: str
    name: str | int | None
    target: str


@dataclass(frozen=True, slots=True)
class Subschemas:
    """The subschemas of one schema: `schemas` and their `steps` by pointer, references that lead nowhere."""

    schemas: dict[str, dict[str, Any] | bool]
    steps: dict[str, tuple[Step, ...]]
    unresolved: tuple[tuple[str, str], ...]

    def in_place(self, pointer: str) -> Iterator[str]:
        """Return the pointers of the subschemas that judge the same value as this one."""
        return (step.target for step in self.steps[pointer] if step.keyword in IN_PLACE)


def collect(schema: dict[str, Any], maximum: int) -> Subschemas:
    """Find the subschemas of a schema of bounded depth, at most `maximum` of them, and join its references.

    >>> sorted(collect({"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": True}}, 9).schemas)
    ['', '/$defs/b', '/properties/a']
    """
    schemas: dict[str, dict[str, Any] | bool] = {}
    steps: dict[str, list[Step]] = {}
    waiting: list[tuple[str, dict[str, Any] | bool]] = [("", schema)]
    while waiting and len(schemas) < maximum:
        pointer, here = waiting.pop()
        schemas[pointer] = here
        below = _subschemas_in(pointer, here, maximum) if isinstance(here, dict) else []
        steps[pointer] = [step for step, _ in below if step.keyword not in _INERT]
        waiting.extend((step.target, child) for step, child in reversed(below))
    unresolved = tuple(_join_references(schemas, steps))
    return Subschemas(schemas, {pointer: tuple(ways) for pointer, ways in steps.items()}, unresolved)


def _subschemas_in(
    pointer: str, schema: dict[str, Any], maximum: int
) -> list[tuple[Step, dict[str, Any] | bool]]:
    children = ((step, child) for step, child in _children(pointer, schema) if isinstance(child, dict | bool))
    return list(islice(children, maximum))


def _children(pointer: str, schema: dict[str, Any]) -> Iterator[tuple[Step, Any]]:
    def step(keyword: str, name: str | int | None = None) -> Step:
        below = "" if name is None else escape_pointer(name)
        return Step(keyword, name, f"{pointer}{escape_pointer(keyword)}{below}")

    for keyword in _SINGLE:
        yield step(keyword), schema.get(keyword)
    for keyword in _LISTS:
        if isinstance(children := schema.get(keyword), list):
            yield from ((step(keyword, index), child) for index, child in enumerate(children))
    for keyword in _MAPS:
        if isinstance(members := schema.get(keyword), dict):
            yield from ((step(keyword, name), child) for name, child in members.items())


def _join_references(
    schemas: dict[str, dict[str, Any] | bool], steps: dict[str, list[Step]]
) -> Iterator[tuple[str, str]]:
    anchors = {
        schema[keyword]: pointer
        for pointer, schema in schemas.items()
        if isinstance(schema, dict)
        for keyword in _ANCHORS
        if isinstance(schema.get(keyword), str)
    }
    for pointer, schema in schemas.items():
        for keyword in REFERENCES:
            reference = schema.get(keyword) if isinstance(schema, dict) else None
            if not isinstance(reference, str):
                continue
            fragment = unquote(reference[1:]) if reference.startswith("#") else None
            target = fragment if fragment in schemas else anchors.get(fragment)
            if target is None:
                yield pointer, keyword
            else:
                steps[pointer].append(Step(keyword, None, target))


MAXIMUM_PLACE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Combination:
    """Where values are judged: by one subschema (`pointer`), or by all or any of other places together."""

    pointer: str | None = None
    all_of: tuple["Combination", ...] = ()
    any_of: tuple["Combination", ...] = ()
    size: int = field(default=1, compare=False)


FREE = Combination()
"""A place that no subschema judges."""

UNSAID = Combination(pointer="?")
"""What an alternative leaves open: never narrower than its neighbours say, and without formats."""


def both(*places: Combination) -> Combination:
    """Return the place that all of these judge."""
    parts = (part for place in places for part in (place.all_of or (place,)) if part != FREE)
    known = dict.fromkeys(parts)
    # Alternatives that include what is said anyway cannot narrow it: so recursion comes to an end.
    flat = tuple(part for part in known if not any(_is_said(each, known) for each in part.any_of))
    return Combination(all_of=flat, size=_size(flat)) if len(flat) > 1 else next(iter(flat), FREE)


def _is_said(place: Combination, known: Collection[Combination]) -> bool:
    return place in known or (bool(place.all_of) and all(part in known for part in place.all_of))


def either(*places: Combination) -> Combination:
    """Return the place that one of these judges, not known which."""
    flat = tuple(dict.fromkeys(part for place in places for part in (place.any_of or (place,))))
    return Combination(any_of=flat, size=_size(flat)) if len(flat) > 1 else flat[0]


def _size(places: tuple[Combination, ...]) -> int:
    size = 1 + sum(place.size for place in places)
    if size > MAXIMUM_PLACE_SIZE:
        raise too_complex()
    return size


def too_complex() -> DefinitionInvalid:
    """Make the failure of a schema whose places multiply."""
    detail = "the schema's alternatives multiply to more places than Sheaf follows: simplify"
    return DefinitionInvalid(detail, errors=[Violation(detail, "too_complex", "")])
