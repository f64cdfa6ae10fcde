"""Masks: what of documents somebody may see, in memory and as the fields that may be asked about."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from operator import and_, or_
from types import MappingProxyType
from typing import Any

from service.query.fields import Field
from service.query.tree import And, Compare, Elem, Node, Not, Or, Path, Selection

ALWAYS = ("id", "_version")
"""What every mask shows: who may see a document can name it, and say which version a change is of."""

_NO_MEMBERS: Mapping[str, "Mask"] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Mask:
    """What is shown of a value: of an object, `members` as each says, and the others if `rest`.

    Arrays are looked through, however many are within each other. What is no object has no members: it is
    shown if `rest`.
    """

    rest: bool
    members: Mapping[str, "Mask"] = field(default_factory=lambda: _NO_MEMBERS, hash=False)

    def of(self, name: str) -> "Mask":
        """Return the mask of a member."""
        return self.members.get(name) or _of_rest(rest=self.rest)

    @property
    def shows_all(self) -> bool:
        """Return whether nothing is left out."""
        return self.rest and not self.members

    @property
    def hides_all(self) -> bool:
        """Return whether nothing is shown, not even that there is a value."""
        return not self.rest and not self.members


SHOWN = Mask(rest=True)
HIDDEN = Mask(rest=False)
IDENTITY = Mask(rest=False, members=dict.fromkeys(ALWAYS, SHOWN))
"""The mask that shows no more than every mask does."""

_ID = Mask(rest=False, members={"id": SHOWN})

MASKED = Field(write_only=True)
"""What stands for a field that is masked: queries find no more of it than of one that is not there."""


@lru_cache(maxsize=1024)
def of_selections(selections: frozenset[Selection | None]) -> Mask:
    """Return the mask of documents that shows what any of the selections gives; None gives everything.

    >>> of_selections(frozenset({Selection((("a",),)), Selection((("b",),))})).of("b").shows_all
    True
    """
    return reduce(either, map(_of_selection, selections), HIDDEN)


@lru_cache(maxsize=1024)
def selecting(selection: Selection) -> Mask:
    """Return the mask of documents that gives what a selection gives, and the id.

    It shows what MongoDB's projection gives, in each detail: arrays are looked through, however many are
    within each other, what is no object has no members, and no name is a position.

    >>> shown({"id": 1, "a": [{"b": 2, "c": 3}, 4]}, selecting(Selection((("a", "b"),))))
    {'id': 1, 'a': [{'b': 2}]}
    """
    end = HIDDEN if selection.is_exclusion else SHOWN
    return either(_of_paths(selection.paths, end, rest=selection.is_exclusion), _ID)


def _of_selection(selection: Selection | None) -> Mask:
    return SHOWN if selection is None else either(selecting(selection), IDENTITY)


def _of_paths(paths: Iterable[Path], end: Mask, *, rest: bool) -> Mask:
    below: dict[str, list[Path]] = {}
    for name, *others in paths:
        below.setdefault(name, []).append(tuple(others))
    members = {
        name: end if () in parts else _of_paths(parts, end, rest=rest) for name, parts in below.items()
    }
    return Mask(rest, members)


def either(one: Mask, other: Mask) -> Mask:
    """Return the mask that shows what at least one of two shows."""
    return _combined(one, other, or_)


def both(one: Mask, other: Mask) -> Mask:
    """Return the mask that shows only what two show, one like the other."""
    return _combined(one, other, and_)


def _combined(one: Mask, other: Mask, combine: Callable[[bool, bool], bool]) -> Mask:
    rest = combine(one.rest, other.rest)
    names = dict.fromkeys((*one.members, *other.members))
    members = {name: _combined(one.of(name), other.of(name), combine) for name in names}
    return Mask(rest, {name: below for name, below in members.items() if below != _of_rest(rest=rest)})


def _of_rest(*, rest: bool) -> Mask:
    return SHOWN if rest else HIDDEN


def shown(document: Mapping[str, Any], mask: Mask) -> dict[str, Any]:
    """Return what a mask shows of a document, as a client has it; may share parts with it.

    >>> mask = of_selections(frozenset({Selection((("a", "b"),), is_exclusion=True)}))
    >>> shown({"id": 1, "a": [{"b": 2, "c": 3}, 4]}, mask)
    {'id': 1, 'a': [{'c': 3}, 4]}
    """
    seen: dict[str, Any] = {}
    for name, value in document.items():
        below = mask.of(name)
        if below.shows_all:
            seen[name] = value
        elif below.hides_all:
            continue
        elif isinstance(value, dict):
            seen[name] = shown(value, below)
        elif isinstance(value, list):
            seen[name] = _elements(value, below)
        elif below.rest:
            seen[name] = value
    return seen


def _elements(values: list[Any], mask: Mask) -> list[Any]:
    return [
        shown(each, mask)
        if isinstance(each, dict)
        else (_elements(each, mask) if isinstance(each, list) else each)
        for each in values
        if mask.rest or isinstance(each, dict | list)
    ]


@lru_cache(maxsize=256)
def fields_of(root: Field, selections: frozenset[Selection | None]) -> Field:
    """Return the fields that any of the selections gives; the others are as if they did not exist.

    Those of which a part is shown are `is_partial`.
    """
    return _Copy().of(root, of_selections(selections))


class _Copy:
    """Copies Fields without what is masked; each once, for arrays may hold themselves."""

    def __init__(self) -> None:
        self._made: dict[tuple[Field, int], Field] = {}

    def of(self, original: Field, mask: Mask) -> Field:
        """Return the Field of what a mask shows of the values at a Field."""
        if mask.shows_all:
            return original
        if mask.hides_all:
            return MASKED
        key = (original, id(mask))
        if key not in self._made:
            members: dict[str, Field] = {}
            self._made[key] = copy = replace(original, fields=members, is_partial=True)
            for name in dict.fromkeys((*original.fields, *mask.members)):
                member = original.fields.get(name, original.others)
                if member is not None:
                    members[name] = self.of(member, mask.of(name))
            if original.others is not None:
                _set(copy, "others", self.of(original.others, _of_rest(rest=mask.rest)))
            if original.items is not None:
                _set(copy, "items", self.of(original.items, mask))
        return self._made[key]


def _set(copy: Field, name: str, value: Field) -> None:
    # Fields are frozen for everybody else; one that contains itself can only be closed after it exists.
    object.__setattr__(copy, name, value)


def beyond(root: Field, node: Node) -> Iterator[Path]:
    """Yield the paths of a filter that may not be asked about, of the Fields of `fields_of`."""
    match node:
        case Compare(path, _, _):
            if not _may_be_compared(root.resolve(path)):
                yield path
        case Elem(path, condition):
            found = root.resolve(path)
            if found is None or found.items is None or found.items.write_only:
                yield path
            else:
                yield from ((*path, *below) for below in beyond(found.items, condition))
        case And(parts) | Or(parts):
            for part in parts:
                yield from beyond(root, part)
        case Not(part):
            yield from beyond(root, part)


def may_be_compared(root: Field, path: Path) -> bool:
    """Return whether all that is at a path may be asked about, of the Fields of `fields_of`."""
    return _may_be_compared(root.resolve(path))


def _may_be_compared(field: Field | None) -> bool:
    return field is not None and not field.is_partial
