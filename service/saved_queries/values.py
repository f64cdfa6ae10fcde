"""What is known only when a query runs: the parameters' values, and what a `lookup` may read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Values:
    """One run's values: of parameters as JSON and as BSON, of collections the stages that narrow them."""

    json: Mapping[str, Any]
    bson: Mapping[str, Any]
    narrowing: Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class Later:
    """A part of a compiled pipeline that depends on one run's values."""

    make: Callable[[Values], Any]


def fill(part: Any, values: Values) -> Any:
    """Give a compiled part with everything that is Later made for one run.

    >>> fill({"$limit": Later(lambda values: values.json["top"])}, Values({"top": 3}, {}, {}))
    {'$limit': 3}
    """
    if isinstance(part, Later):
        return part.make(values)
    if isinstance(part, dict):
        return {name: fill(member, values) for name, member in part.items()}
    if isinstance(part, list):
        return [fill(element, values) for element in part]
    return part
