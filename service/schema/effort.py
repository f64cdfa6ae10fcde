"""How much it costs to list what is wrong with a document, so that nobody can make it cost much."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from service.schema.subschemas import IN_PLACE, Step, Subschemas

MAXIMUM_VALUES = 2_000
MAXIMUM_EXPLAINED = 10_000
MAXIMUM_SEARCHED = 100_000


class Effort(Enum):
    """What may be spent on explaining a document."""

    EVERY_VIOLATION = 1
    FIRST_VIOLATION = 2
    NONE = 3


def effort(subschemas: Subschemas, document: dict[str, Any]) -> Effort:
    """Tell what may be spent on a document, for alternatives within alternatives multiply at each level.

    The validator decides quickly whether a document is valid, remembering what it has judged, but it lists
    the reasons without remembering.
    """
    evaluations = 0
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        pointer, value = waiting.pop()
        evaluations += 1
        if evaluations > MAXIMUM_SEARCHED:
            return Effort.NONE
        for step in subschemas.steps[pointer]:
            waiting.extend((step.target, part) for part in _judged(step, value))
    if evaluations > MAXIMUM_EXPLAINED or _has_more_values(document, MAXIMUM_VALUES):
        return Effort.FIRST_VIOLATION
    return Effort.EVERY_VIOLATION


def _judged(step: Step, value: Any) -> Iterator[Any]:
    """Yield at least the values that the subschema which a step leads to judges."""
    if step.keyword in IN_PLACE:
        yield value
    elif isinstance(value, dict):
        if step.keyword == "properties":
            if step.name in value:
                yield value[step.name]
        elif step.keyword == "propertyNames":
            yield from value
        elif step.keyword in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            yield from value.values()
    elif isinstance(value, list):
        if step.keyword == "prefixItems":
            yield from value[step.name : step.name + 1] if isinstance(step.name, int) else ()
        elif step.keyword in ("items", "contains", "unevaluatedItems"):
            yield from value


def _has_more_values(document: Any, maximum: int) -> bool:
    waiting = [document]
    count = 0
    while waiting and count <= maximum:
        value = waiting.pop()
        if isinstance(value, dict | list):
            count += len(value)
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return count > maximum
