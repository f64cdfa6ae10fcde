"""Indexes on both sides: those that a collection has, and a suggested one as its definition takes it."""

from collections.abc import Mapping
from typing import Any

from service.collections.registry import Collection
from service.query.fields import Field
from service.query.kinds import Kind
from service.slow_queries.suggestions import ArrayOf, Keys, Present

_PARTIAL = ("partialFilterExpression", "sparse", "collation", "hidden", "wildcardProjection")
_SPECIAL = ("unique", "expireAfterSeconds")


def present(described: Mapping[str, Mapping[str, Any]]) -> list[Present]:
    """Read the driver's `index_information`."""
    return [_present(name, index) for name, index in described.items()]


def _present(name: str, index: Mapping[str, Any]) -> Present:
    keys = tuple((path, int(way) if isinstance(way, float) else way) for path, way in index["key"])
    is_whole = not any(index.get(option) for option in _PARTIAL)
    is_ordered = all(isinstance(way, int) for _, way in keys)
    is_special = name == "_id_" or any(option in index for option in _SPECIAL)
    return Present(name, keys, is_whole, is_plain=is_whole and is_ordered and not is_special)


def arrays_of(root: Field) -> ArrayOf:
    """Return a function from a path to the first name on it that may hold an array, by a schema's fields.

    What the schema does not say may be an array: two of those in one index would refuse documents.
    """

    def array_of(path: str) -> str | None:
        names = tuple(path.split("."))
        if names == ("_id",):
            return None
        for length in range(1, len(names) + 1):
            here = root.resolve(names[:length])
            if here is None or Kind.ARRAY in here.kinds:
                return ".".join(names[:length])
        return None

    return array_of


def written(keys: Keys, source: str) -> Any:
    """Write an index as a collection's definition takes it, or a class's `Settings.indexes`.

    >>> keys = (("category", 1), ("price", -1), ("_id", -1))
    >>> written(keys, "runtime")
    {'fields': ['category', '-price', '-id']}
    >>> written(keys, "code")
    "IndexModel([('category', 1), ('price', -1), ('_id', -1)])"
    >>> written((("at", "2dsphere"),), "runtime")
    {'geo': 'at'}
    """
    if source == "code":
        return f"IndexModel({list(keys)})"
    ((path, way), *_) = keys
    if way == "2dsphere":
        return {"geo": path}
    return {"fields": [_written(path, way) for path, way in keys]}


def _written(path: str, way: int | str) -> str:
    name = "id" if path == "_id" else path
    return f"-{name}" if way == -1 else name


def of(collection: Collection) -> ArrayOf:
    """Return the function of `arrays_of` for a collection."""
    return arrays_of(collection.description.schema.root)
