"""The shape of a filter: what it asks of which fields, without a value, so that alike ones can be told so."""

from collections.abc import Iterable, Mapping
from typing import Any

VALUE = "?"


def where(condition: Any) -> str:
    """Give a filter without its values; alternatives that are alike are there once.

    >>> where({"$or": [{"a": {"$in": [1, 2]}}, {"a": {"$in": [3]}}], "b": [1]})
    '{$or: [{a: {$in: ?}}], b: ?}'
    """
    if isinstance(condition, Mapping):
        if set(condition) == {"$eq"}:
            return VALUE
        return "{" + ", ".join(sorted(_members(condition))) + "}"
    return VALUE


def _members(condition: Mapping[str, Any]) -> Iterable[str]:
    for name, value in condition.items():
        if name in {"$and", "$or", "$nor"} and isinstance(value, list):
            yield f"{name}: [{', '.join(dict.fromkeys(map(where, value)))}]"
        elif isinstance(value, Mapping) and (name == "$elemMatch" or _is_condition(value)):
            yield f"{name}: {where(value)}"
        else:
            yield f"{name}: {VALUE}"


def _is_condition(value: Mapping[str, Any]) -> bool:
    """Tell conditions from a value that is an object, and from what regions and texts are made of."""
    return bool(value) and all(name.startswith("$") for name in value) and not value.keys() & _OPAQUE


_OPAQUE = frozenset({"$geometry", "$search", "$centerSphere", "$box", "$polygon", "$center", "$expr"})
