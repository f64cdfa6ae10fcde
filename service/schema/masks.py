"""What clients may not write (`readOnly`) and may not see (`writeOnly`), at any depth."""

from collections.abc import Iterator
from typing import Any

from service.errors import Violation
from service.query.fields import Field
from service.schema.encoding import member
from service.schema.pointers import escape


def visible(value: Any, field: Field, hidden: frozenset[Field]) -> Any:
    """Give a stored value without its write-only members; `hidden` are the Fields that lead to those.

    The same value when it has none of them.
    """
    if isinstance(value, dict):
        return _visible_members(value, field, hidden)
    if isinstance(value, list) and field.items in hidden:
        below = field.items
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
    value: Any, field: Field, present: list[Any], guarded: frozenset[Field], pointer: str = ""
) -> Iterator[Violation]:
    """Give the read-only members whose value is none of those that stand at the same place at present.

    `guarded` are the Fields that lead to read-only ones. An array's elements have no names, so that a member
    within one may have the value that it has in any of the present elements.
    """
    if isinstance(value, dict):
        for name, part in value.items():
            below = member(field, name)
            if below is None or below not in guarded:
                continue
            before = [each[name] for each in present if isinstance(each, dict) and name in each]
            if not below.read_only:
                yield from read_only_violations(part, below, before, guarded, pointer + escape(name))
            elif not any(is_same(part, each) for each in before):
                yield Violation(f"`{name[:80]}` is read-only", "read_only", pointer=pointer + escape(name))
    elif isinstance(value, list) and field.items in guarded:
        before = [element for each in present if isinstance(each, list) for element in each]
        for index, part in enumerate(value):
            yield from read_only_violations(part, field.items, before, guarded, f"{pointer}/{index}")


def read_only_removals(
    value: dict[str, Any], field: Field, present: dict[str, Any], guarded: frozenset[Field], pointer: str = ""
) -> Iterator[Violation]:
    """Give the read-only members that are there at present and not in the value, through objects of both."""
    for name, before in present.items():
        below = member(field, name)
        if below is None or below not in guarded:
            continue
        if name not in value:
            if below.read_only:
                yield Violation(f"`{name[:80]}` is read-only", "read_only", pointer=pointer + escape(name))
        elif isinstance(before, dict) and isinstance(value[name], dict):
            yield from read_only_removals(value[name], below, before, guarded, pointer + escape(name))


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal; unlike in Python, `true` is not 1.

    >>> is_same(1, 1.0), is_same(True, 1), is_same([{"a": 0}], [{"a": False}])
    (True, False, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(part, other[name]) for name, part in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def keep_unwritable(
    body: dict[str, Any], present: dict[str, Any], field: Field, kept: frozenset[Field]
) -> dict[str, Any]:
    """Give a replacing body with the read-only and write-only members that it leaves out.

    As they are in `present`, through objects that both have; `kept` are the Fields that lead to such members.
    """
    added: dict[str, Any] = {}
    for name, before in present.items():
        below = member(field, name)
        if below is None or below not in kept:
            continue
        if name not in body:
            if below.read_only or below.write_only:
                added[name] = before
        elif isinstance(before, dict) and isinstance(body[name], dict):
            added[name] = keep_unwritable(body[name], before, below, kept)
    return {**body, **added} if added else body
