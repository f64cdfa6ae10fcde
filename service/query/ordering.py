"""The parameters `sort` and `fields`: lists of field names, each perhaps behind a minus."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from service.kit.violations import shown
from service.query.fields import Field, find_field, hides, report_unknown_field
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_SELECTED_FIELDS, MAXIMUM_SORT_KEYS
from service.query.operators import SCALARS
from service.query.parameters import Problems
from service.query.tree import Path, Selection, SortKey, outermost
from service.query.values import comparable_kinds


class _Name(NamedTuple):
    """A field's name in a list; the pointer is its place when the list is an array."""

    text: str
    has_minus: bool
    pointer: str | None


def read_sort(problems: Problems, fields: Field, names: Any) -> tuple[SortKey, ...]:
    """Read `-price,name`, or an array of names: keys from the most important on.

    What is wrong goes to `problems`.
    """
    keys: dict[Path, SortKey] = {}
    for name in _names(problems, names, "sort", MAXIMUM_SORT_KEYS):
        found = find_field(fields, name.text)
        if found is None:
            report_unknown_field(problems, fields, name.text, parameter="sort", pointer=name.pointer)
            continue
        path, field = found
        if not _is_sortable(field):
            detail = f"documents cannot be sorted by `{shown(name.text)}`, which is an object"
            hint = "Sort by one of its members."
            problems.add(detail, "type", parameter="sort", pointer=name.pointer, hint=hint)
        elif path in keys:
            detail = f"`{shown(name.text)}` is named twice"
            problems.add(detail, "repeated", parameter="sort", pointer=name.pointer)
        keys[path] = SortKey(path, name.has_minus)
    return tuple(keys.values())


def read_selection(problems: Problems, fields: Field, names: Any) -> Selection | None:
    """Read `name,price` or `-description`, or an array of such names; what is wrong goes to `problems`."""
    paths: set[Path] = set()
    minuses: set[bool] = set()
    for name in _names(problems, names, "fields", MAXIMUM_SELECTED_FIELDS):
        found = find_field(fields, name.text)
        if found is None:
            report_unknown_field(problems, fields, name.text, parameter="fields", pointer=name.pointer)
            continue
        if name.has_minus and name.text == "id":
            problems.add("`id` is always given", "form", parameter="fields", pointer=name.pointer)
        paths.add(found[0])
        minuses.add(name.has_minus)
    if len(minuses) > 1:
        problems.add("name the fields to give or those to leave out, not both", "form", parameter="fields")
    # MongoDB takes no path twice
    return Selection(outermost(sorted(paths)), True in minuses) if paths else None


def _names(problems: Problems, names: Any, parameter: str, maximum: int) -> Iterator[_Name]:
    """Take a list of names apart, which is text with commas or an array of texts."""
    if not isinstance(names, str | list):
        problems.add(f"`{parameter}` is text or an array of texts", "type", parameter=parameter)
        return
    parts = names.split(",") if isinstance(names, str) else names
    if len(parts) > maximum:
        detail = f"`{parameter}` may name {maximum} fields at the most"
        problems.stop(detail, "too_complex", parameter=parameter)
    for position, name in enumerate(parts):
        pointer = f"/{position}" if isinstance(names, list) else None
        if isinstance(name, str):
            yield _Name(name.removeprefix("-"), name.startswith("-"), pointer)
        else:
            problems.add("the name of a field is text", "type", parameter=parameter, pointer=pointer)


def _is_sortable(field: Field) -> bool:
    """Return whether the order tells nothing hidden: objects and arrays sort by all that they hold."""
    kinds = comparable_kinds(field)
    if hides(field) or not kinds & SCALARS - {Kind.NULL}:
        return False
    return Kind.OBJECT not in kinds or not _is_described(field)


def _is_described(field: Field) -> bool:
    """Return whether members are declared at the field, of its elements, or of undeclared members."""
    seen: set[int] = set()
    waiting: list[Field | None] = [field]
    while waiting:
        here = waiting.pop()
        if here is not None and id(here) not in seen:
            if here.fields:
                return True
            seen.add(id(here))
            waiting += (here.items, here.others)
    return False
