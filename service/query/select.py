"""A selection of fields, taken in memory, of documents that were read whole."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from service.query.lists import Selection
from service.query.tree import Path

Names: TypeAlias = dict[str, "Names | None"]
"""Names by their first part: None for a path's end, else what is named below."""


def select(document: Mapping[str, Any], selection: Selection | None) -> dict[str, Any]:
    """Return the fields of a document that a selection gives, as MongoDB's projection does; `id` always.

    It agrees in each detail: arrays are looked through, however many are within each other, what is no object
    has no members and is left out where some are asked for, and no name is a position.

    >>> select({"id": 1, "a": [{"b": 2, "c": 3}, 4]}, Selection((("a", "b"),)))
    {'id': 1, 'a': [{'b': 2}]}
    >>> select({"id": 1, "a": [{"b": 2, "c": 3}, 4]}, Selection((("a", "b"),), is_exclusion=True))
    {'id': 1, 'a': [{'c': 3}, 4]}
    """
    if selection is None:
        return dict(document)
    names = _names(selection.paths)
    if selection.is_exclusion:
        return _without(document, names)
    return _only(document, names | {"id": None})


def _names(paths: tuple[Path, ...]) -> Names:
    """Bring the paths together; what lies within another of them is in it already."""
    tree: Names = {}
    for path in sorted(paths, key=len):
        here: Names | None = tree
        for name in path[:-1]:
            here = here.setdefault(name, {}) if here is not None else None
        if here is not None:
            here.setdefault(path[-1], None)
    return tree


def _only(members: Mapping[str, Any], names: Names) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in members.items():
        if name in names:
            below = names[name]
            if below is None:
                kept[name] = value
            elif isinstance(value, dict):
                kept[name] = _only(value, below)
            elif isinstance(value, list):
                kept[name] = _elements(value, below)
    return kept


def _elements(values: list[Any], names: Names) -> list[Any]:
    return [
        _only(each, names) if isinstance(each, dict) else _elements(each, names)
        for each in values
        if isinstance(each, dict | list)
    ]


def _without(members: Mapping[str, Any], names: Names) -> dict[str, Any]:
    return {
        name: value if name not in names else _left(value, names[name])
        for name, value in members.items()
        if name not in names or names[name] is not None
    }


def _left(value: Any, names: Names | None) -> Any:
    if names is not None and isinstance(value, dict):
        return _without(value, names)
    if names is not None and isinstance(value, list):
        return [_left(each, names) for each in value]
    return value
