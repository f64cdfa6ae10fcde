"""Fields as one caller has them: what a rule masks is write-only or read-only to them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from service.query.fields import Field
from service.query.masks import Mask

Mark = Callable[[Field], Field]


def unseen(root: Field, readable: Mask) -> Field:
    """Give a document's Field with all write-only that a mask leaves out, also what no schema tells of."""
    return _Marking(lambda field: replace(field, write_only=True)).of(root, readable)


def unwritable(root: Field, writable: Mask) -> Field:
    """Give a document's Field with all read-only that a mask leaves out, also what no schema tells of."""
    return _Marking(lambda field: replace(field, read_only=True)).of(root, writable)


class _Marking:
    """Marks what masks leave out, and shares the rest; each Field once, for arrays may hold themselves."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._made: dict[tuple[Field, int], Field] = {}

    def of(self, original: Field, mask: Mask) -> Field:
        """Give a Field with a mark on what is left out of its values."""
        if mask.shows_all:
            return original
        if mask.hides_all:
            return self._mark(original)
        key = (original, id(mask))
        if key not in self._made:
            self._made[key] = marked = replace(original)
            _set(marked, "fields", MappingProxyType(self._members(original, mask)))
            if not mask.rest:
                _set(marked, "others", self._mark(original.others or Field()))
            if original.items is not None:
                _set(marked, "items", self.of(original.items, mask))
        return self._made[key]

    def _members(self, original: Field, mask: Mask) -> Mapping[str, Field]:
        names = dict.fromkeys((*original.fields, *mask.members))
        undeclared = original.others or Field()
        return {name: self.of(original.fields.get(name, undeclared), mask.of(name)) for name in names}


def _set(field: Field, name: str, value: object) -> None:
    object.__setattr__(field, name, value)  # frozen for all others; a cyclic one is closed after it exists
