"""What must be known of a schema's parts to show them in another way: what is hidden, fixed, or a format."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from service.http.contract import formats
from service.query.kinds import Kind
from service.schema.subschemas import IN_PLACE, REFERENCES, Subschemas

_OF_THE_VALUE = IN_PLACE - {"not"}
_CERTAIN = frozenset({*REFERENCES, "allOf"})
_MEMBERS = frozenset({"properties", "patternProperties"})
_FLAGS = ("readOnly", "writeOnly")
_ELEMENTS = frozenset({"items", "prefixItems"})


@dataclass(frozen=True, slots=True)
class Annotations:
    """Of one schema: pointers of subschemas whose values are of a sort, and names of members that are.

    `hidden` values are write-only, `fixed` ones read-only, `given` ones have a default, `referring` ones are
    references to documents of a collection, or arrays of them.
    """

    subschemas: Subschemas
    hidden: frozenset[str]
    fixed: frozenset[str]
    given: frozenset[str]
    referring: frozenset[str]
    kinds: dict[str, Kind]

    def names(self, pointers: frozenset[str]) -> frozenset[str]:
        """Return the names of the members that are described at some of these pointers, anywhere."""
        return frozenset(
            str(step.name)
            for steps in self.subschemas.steps.values()
            for step in steps
            if step.keyword in _MEMBERS and step.target in pointers
        )

    def referred(self) -> list[str]:
        """Return the pointers that references lead to, in the order of the schema."""
        ways = (step for steps in self.subschemas.steps.values() for step in steps)
        return list(dict.fromkeys(step.target for step in ways if step.keyword in REFERENCES))

    def leading_to(self, pointers: Iterable[str]) -> frozenset[str]:
        """Return the pointers from which some of these can be reached, these too."""
        before: dict[str, list[str]] = {}
        for pointer, steps in self.subschemas.steps.items():
            for step in steps:
                before.setdefault(step.target, []).append(pointer)
        found: set[str] = set()
        waiting = list(pointers)
        while waiting:
            if (pointer := waiting.pop()) not in found:
                found.add(pointer)
                waiting.extend(before.get(pointer, ()))
        return frozenset(found)

    def holds_references(self, pointer: str) -> bool:
        """Return whether an object has members that are references: what they lead to stands beside them."""
        steps = self.subschemas.steps[pointer]
        return any(step.target in self.referring for step in steps if step.keyword in _MEMBERS)

    def shows_no_elements(self, pointer: str) -> bool:
        """Return whether the elements of an array are hidden, so that it is read as an empty one."""
        targets = (step.target for step in self.subschemas.steps[pointer] if step.keyword in _ELEMENTS)
        return any(target in self.hidden for target in targets)


def annotate(subschemas: Subschemas) -> Annotations:
    """Find what is annotated in the subschemas of one schema, through references and alternatives."""

    def having(keyword: str, in_place: frozenset[str]) -> frozenset[str]:
        return frozenset(
            pointer
            for pointer in subschemas.schemas
            if any(_is_marked(schema, keyword) for schema in _judges(subschemas, pointer, in_place))
        )

    return Annotations(
        subschemas=subschemas,
        hidden=having("writeOnly", _OF_THE_VALUE),
        fixed=having("readOnly", _OF_THE_VALUE),
        given=having("default", _CERTAIN),
        referring=having("x-collection", _OF_THE_VALUE | _ELEMENTS),
        kinds=dict(_kinds(subschemas)),
    )


def _is_marked(schema: Any, keyword: str) -> bool:
    return schema.get(keyword) is True if keyword in _FLAGS else keyword in schema


def _kinds(subschemas: Subschemas) -> Iterator[tuple[str, Kind]]:
    for pointer in subschemas.schemas:
        for schema in _judges(subschemas, pointer, _CERTAIN):
            if (kind := formats.kind_of(schema)) is not None:
                yield pointer, kind
                break


def _judges(subschemas: Subschemas, pointer: str, in_place: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Return the schemas, not the booleans, that judge the value which one judges, itself first."""
    waiting, seen = [pointer], set[str]()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        schema = subschemas.schemas[here]
        if isinstance(schema, dict):
            yield schema
        waiting.extend(step.target for step in subschemas.steps[here] if step.keyword in in_place)
