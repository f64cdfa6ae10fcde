"""What clients may not write (`readOnly`) and may not see (`writeOnly`), at any depth."""

from collections.abc import Hashable, Iterator
from typing import Any

from service.kit.errors import Violation
from service.kit.json_values import are_equal, equality_key, escape_pointer
from service.query.fields import Field
from service.query.kinds import Kind
from service.schema.encoding import member


def visible(value: Any, field: Field, hidden: frozenset[Field]) -> Any:
    """Return a stored value without its write-only members; `hidden` are the Fields that lead to those.

    The same value when it has none of them. An object that stands where the schema has an array now is one of
    its elements, and an array where it has an object is several: what they hold is hidden all the same.
    """
    if isinstance(value, dict):
        below = field.items
        if below is None or below not in hidden or Kind.OBJECT in field.kinds:
            return _visible_members(value, field, hidden)
        return {} if below.write_only else visible(value, below, hidden)
    if isinstance(value, list):
        below = field if field.items is None else field.items
        if below in hidden:
            return [] if below.write_only else [visible(part, below, hidden) for part in value]
    return value


def _visible_members(value: dict[str, Any], field: Field, hidden: frozenset[Field]) -> dict[str, Any]:
    seen: dict[str, Any] | None = None
    for name, part in value.items():
        below = member(field, name)
        if below is None or below not in hidden:
            continue
        new = None if below.write_only else visible(part, below, hidden)
        if below.write_only or new is not part:
            seen = dict(value) if seen is None else seen
            if below.write_only:
                del seen[name]
            else:
                seen[name] = new
    return value if seen is None else seen


def read_only_violations(
    value: Any, field: Field, present: list[Any], guarded: frozenset[Field]
) -> Iterator[Violation]:
    """Yield the read-only members whose value is none of those that stand at the same place at present.

    `guarded` are the Fields that lead to read-only ones. An array's elements have no names, so that a member
    within one may have the value that it has in any of the present elements.
    """
    yield from _read_only_violations(value, field, _Place(present), guarded, "")


def _read_only_violations(
    value: Any, field: Field, place: "_Place", guarded: frozenset[Field], pointer: str
) -> Iterator[Violation]:
    if isinstance(value, dict):
        for name, part in value.items():
            below = member(field, name)
            if below is None or below not in guarded:
                continue
            if not below.read_only:
                at_name = pointer + escape_pointer(name)
                yield from _read_only_violations(part, below, place.member(name), guarded, at_name)
            elif not place.member(name).holds(part):
                yield Violation(
                    f"`{name[:80]}` is read-only", "read_only", pointer=pointer + escape_pointer(name)
                )
    elif isinstance(value, list) and field.items in guarded:
        for index, part in enumerate(value):
            yield from _read_only_violations(
                part, field.items, place.elements(), guarded, f"{pointer}/{index}"
            )


class _Place:
    """What stands at one place of a document at present, in all elements of the arrays above it.

    Each place is looked at once, however many elements of the new document ask for it.
    """

    __slots__ = ("_below", "_identities", "_values")

    def __init__(self, values: list[Any]) -> None:
        self._values = values
        self._below: dict[str | None, _Place] = {}
        self._identities: set[Hashable] | None = None

    def member(self, name: str) -> "_Place":
        """Return the place of a member."""
        if name not in self._below:
            found = [each[name] for each in self._values if isinstance(each, dict) and name in each]
            self._below[name] = _Place(found)
        return self._below[name]

    def elements(self) -> "_Place":
        """Return the place of the elements of arrays."""
        if None not in self._below:
            self._below[None] = _Place(
                [each for array in self._values if isinstance(array, list) for each in array]
            )
        return self._below[None]

    def holds(self, value: Any) -> bool:
        """Return whether the value stands here."""
        if len(self._values) == 1:
            return are_equal(self._values[0], value)
        if self._identities is None:
            self._identities = {equality_key(each) for each in self._values}
        return equality_key(value) in self._identities


def read_only_removals(
    value: dict[str, Any], field: Field, present: dict[str, Any], guarded: frozenset[Field], pointer: str = ""
) -> Iterator[Violation]:
    """Yield the read-only members of the present object, and of objects in it, that are not in the value."""
    for name, before in present.items():
        below = member(field, name)
        if below is None or below not in guarded:
            continue
        if name not in value and below.read_only:
            yield Violation(
                f"`{name[:80]}` is read-only", "read_only", pointer=pointer + escape_pointer(name)
            )
        elif isinstance(before, dict):
            after = value.get(name)
            now = after if isinstance(after, dict) else {}
            yield from read_only_removals(now, below, before, guarded, pointer + escape_pointer(name))


def keep_unwritable(
    body: dict[str, Any], present: dict[str, Any], field: Field, kept: frozenset[Field]
) -> dict[str, Any]:
    """Return a replacing body with the read-only and write-only members that it leaves out.

    As they are in `present`, through objects that both have; of an object that the body leaves out, the
    read-only ones. `kept` are the Fields that lead to such members.
    """
    added: dict[str, Any] = {}
    for name, before in present.items():
        below = member(field, name)
        if below is None or below not in kept:
            continue
        if name not in body:
            if below.read_only or below.write_only:
                added[name] = before
            elif isinstance(before, dict) and (part := _read_only_part(before, below)):
                added[name] = part
        elif isinstance(before, dict) and isinstance(body[name], dict):
            added[name] = keep_unwritable(body[name], before, below, kept)
    return {**body, **added} if added else body


def _read_only_part(value: dict[str, Any], field: Field) -> dict[str, Any]:
    """Return the read-only members of an object, and those of objects in it."""
    found: dict[str, Any] = {}
    for name, before in value.items():
        below = member(field, name)
        if below is None:
            continue
        if below.read_only:
            found[name] = before
        elif isinstance(before, dict) and (part := _read_only_part(before, below)):
            found[name] = part
    return found
