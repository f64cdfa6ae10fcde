"""Fields as one caller has them: what a rule masks is read-only or write-only to them."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from service.query.fields import Field
from service.query.lists import Selection
from service.query.tree import Path

Names: TypeAlias = "dict[str, Names | None]"
"""Names by their first part: None for a path's end, else what is named below."""

Mark: TypeAlias = Literal["read_only", "write_only"]


def tree(paths: tuple[Path, ...]) -> Names:
    """Bring paths together; what lies within another of them is in it already.

    >>> tree((("a", "b"), ("c",), ("c", "d")))
    {'c': None, 'a': {'b': None}}
    """
    names: Names = {}
    for path in sorted(paths, key=len):
        here: Names | None = names
        for name in path[:-1]:
            here = here.setdefault(name, {}) if here is not None else None
        if here is not None:
            here.setdefault(path[-1], None)
    return names


def masked(root: Field, selection: Selection, mark: Mark) -> Field:
    """Give a document's Field with a mark on all that a selection leaves out; shares what is as it was.

    What no schema tells of is marked too, where the selection leaves it out; the id never is.
    """
    names = tree(selection.paths)
    names.pop("id", None)
    return _Masking(mark, is_exclusion=selection.is_exclusion).of(
        root, names if selection.is_exclusion else names | {"id": None}
    )


class _Masking:
    """One pass over a tree of Fields, which may be cyclic: arrays of arrays of themselves are made once."""

    def __init__(self, mark: Mark, *, is_exclusion: bool) -> None:
        self._mark = mark
        self._is_exclusion = is_exclusion
        self._made: dict[tuple[int, int], Field] = {}

    def of(self, field: Field, names: Names) -> Field:
        """Give a Field of which some members, or some members of the elements, are marked."""
        known = (id(field), id(names))
        if known not in self._made:
            self._made[known] = made = replace(field)
            _set(made, "fields", MappingProxyType(self._members(field, names)))
            if not self._is_exclusion:
                _set(made, "others", self._marked(field.others or Field()))
            if field.items is not None:
                _set(made, "items", self.of(field.items, names))
        return self._made[known]

    def _members(self, field: Field, names: Names) -> Mapping[str, Field]:
        members = dict(field.fields)
        if not self._is_exclusion:
            members = {name: self._marked(each) for name, each in field.fields.items() if name not in names}
        for name, below in names.items():
            own = field.fields.get(name, field.others or Field())
            if below is not None:
                members[name] = self.of(own, below)
            else:
                members[name] = self._marked(own) if self._is_exclusion else own
        return members

    def _marked(self, field: Field) -> Field:
        if self._mark == "read_only":
            return replace(field, read_only=True)
        return replace(field, write_only=True)


def _set(field: Field, name: str, value: object) -> None:
    object.__setattr__(field, name, value)  # frozen for all others; a cyclic one is closed after it exists
