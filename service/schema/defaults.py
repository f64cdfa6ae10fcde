"""Defaults: what a new document has where its body says nothing."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from service.schema.subschemas import Step, Subschemas

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


def complete(value: Any, defaults: Defaults) -> Any:
    """Give a value with the defaults of what is missing in it; the same value when nothing is.

    A default is taken as it is written, so one that contains its own place again comes to an end.
    """
    if isinstance(value, dict):
        return _complete_members(value, defaults)
    if isinstance(value, list) and defaults.items is not None:
        below = defaults.items
        completed = [complete(part, below) for part in value]
        return completed if any(new is not old for new, old in zip(completed, value, strict=True)) else value
    return value


def _complete_members(value: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    added = {
        name: default if type(default) in _UNCHANGING else copy.deepcopy(default)
        for name, default in defaults.values.items()
        if name not in value
    }
    for name, below in defaults.below.items():
        member = value.get(name)
        if isinstance(member, dict | list) and (completed := complete(member, below)) is not member:
            added[name] = completed
    return {**value, **added} if added else value
