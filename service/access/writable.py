"""Which of the places that a write changes are beyond what the rule lets the caller write."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from service.access.decisions import Grant
from service.kit.json_values import are_equal
from service.query.tree import Path

_Names: TypeAlias = dict[str, "_Names | None"]
"""Names by their first part: None for a path's end, else what is named below."""

_ABSENT: Final = object()


def beyond(grant: Grant, before: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the places that a client changes against its grant; forced members do not count.

    `before` is the present document as JSON, empty for a new one; `asked` what the client makes of it, as
    JSON too, both without the system fields. Arrays are compared position by position: who may not write a
    member of their elements cannot move those either.

    >>> from service.query.tree import Selection
    >>> only = Grant(fields=Selection((("title",), ("place", "city"))))
    >>> beyond(only, {"title": "a", "place": {"city": "Oslo"}}, {"title": "b", "place": {"city": "Rome"}})
    ()
    >>> beyond(only, {}, {"score": 1, "place": {"zip": 2}})
    (('score',), ('place', 'zip'))
    """
    if grant.fields is None:
        return ()
    names = _tree(grant.fields.paths)
    found = _in_objects(before, asked, names, is_exclusion=grant.fields.is_exclusion)
    return tuple(dict.fromkeys(path for path in found if path[0] not in grant.forced))


def _tree(paths: tuple[Path, ...]) -> _Names:
    tree: _Names = {}
    for path in sorted(paths, key=len):
        here: _Names | None = tree
        for name in path[:-1]:
            here = None if here is None else here.setdefault(name, {})
        if here is not None:  # else it lies within a shorter path
            here.setdefault(path[-1], None)
    return tree


def _in_objects(
    before: Mapping[str, Any], asked: Mapping[str, Any], names: _Names, *, is_exclusion: bool
) -> Iterator[Path]:
    for name in dict.fromkeys((*before, *asked)):
        one, other = before.get(name, _ABSENT), asked.get(name, _ABSENT)
        if one is not _ABSENT and other is not _ABSENT and are_equal(one, other):
            continue
        below = names.get(name)
        if below is not None:
            yield from ((name, *path) for path in _in_values(one, other, below, is_exclusion=is_exclusion))
        elif (name in names) is is_exclusion:
            yield (name,)


def _in_values(one: Any, other: Any, names: _Names, *, is_exclusion: bool) -> Iterator[Path]:
    """Compare two values of which some members may be written, and give the paths below them.

    What is absent has no members; neither has a plain value, which only an exclusion lets come and go.
    """
    pair = (one, other)
    objects = [each for each in pair if isinstance(each, dict)]
    arrays = [each for each in pair if isinstance(each, list)]
    is_plain = any(each is not _ABSENT and not isinstance(each, dict | list) for each in pair)
    if (objects and arrays) or (is_plain and not is_exclusion):
        yield ()  # another kind of value takes the place, with all that is in it
    elif objects:
        befores, afters = (each if isinstance(each, dict) else {} for each in pair)
        yield from _in_objects(befores, afters, names, is_exclusion=is_exclusion)
    elif arrays:
        here, there = (each if isinstance(each, list) else [] for each in pair)
        yield from _in_arrays(here, there, names, is_exclusion=is_exclusion)


def _in_arrays(one: list[Any], other: list[Any], names: _Names, *, is_exclusion: bool) -> Iterator[Path]:
    for position in range(max(len(one), len(other))):
        here, there = (each[position] if position < len(each) else _ABSENT for each in (one, other))
        if here is _ABSENT or there is _ABSENT or not are_equal(here, there):
            yield from _in_values(here, there, names, is_exclusion=is_exclusion)
