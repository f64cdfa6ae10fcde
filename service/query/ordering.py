"""The parameters `sort` and `fields`: lists of field names, each perhaps behind a minus."""

from collections.abc import Iterator

from service.query.fields import Field
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_SELECTED_FIELDS, MAXIMUM_SORT_KEYS
from service.query.lists import Selection, SortKey
from service.query.operators import SCALARS
from service.query.paths import find, report_unknown
from service.query.problems import Problems, shown
from service.query.tree import Path
from service.query.values import comparable_kinds


def read_sort(problems: Problems, fields: Field, text: str) -> tuple[SortKey, ...]:
    """Read `-price,name`: keys from the most important on; what is wrong goes to `problems`."""
    keys: dict[Path, SortKey] = {}
    for name, is_descending in _names(problems, text, "sort", MAXIMUM_SORT_KEYS):
        found = find(fields, name)
        if found is None:
            report_unknown(problems, fields, name, parameter="sort")
            continue
        path, field = found
        if not _is_sortable(field):
            detail = f"documents cannot be sorted by `{shown(name)}`, which is an object"
            problems.add(detail, "type", parameter="sort", hint="Sort by one of its members.")
        elif path in keys:
            problems.add(f"`{shown(name)}` is named twice", "repeated", parameter="sort")
        keys[path] = SortKey(path, is_descending)
    return tuple(keys.values())


def read_selection(problems: Problems, fields: Field, text: str) -> Selection | None:
    """Read `name,price` or `-description`; what is wrong goes to `problems`."""
    paths: set[Path] = set()
    minuses: set[bool] = set()
    for name, is_excluded in _names(problems, text, "fields", MAXIMUM_SELECTED_FIELDS):
        found = find(fields, name)
        if found is None:
            report_unknown(problems, fields, name, parameter="fields")
            continue
        if is_excluded and name == "id":
            problems.add("`id` is always given", "form", parameter="fields")
        paths.add(found[0])
        minuses.add(is_excluded)
    if len(minuses) > 1:
        problems.add("name the fields to give or those to leave out, not both", "form", parameter="fields")
    return Selection(_without_nested(paths), True in minuses) if paths else None


def _names(problems: Problems, text: str, parameter: str, maximum: int) -> Iterator[tuple[str, bool]]:
    names = text.split(",")
    if len(names) > maximum:
        detail = f"`{parameter}` may name {maximum} fields at the most"
        problems.stop(detail, "too_complex", parameter=parameter)
    for name in names:
        yield name.removeprefix("-"), name.startswith("-")


def _without_nested(paths: set[Path]) -> tuple[Path, ...]:
    """Leave out what lies within another of the paths: MongoDB takes no path twice."""
    return tuple(
        path for path in sorted(paths) if not any(path[:length] in paths for length in range(1, len(path)))
    )


def _is_sortable(field: Field) -> bool:
    """Tell whether the order says nothing about hidden members: objects sort by all that they hold."""
    kinds = comparable_kinds(field)
    if not kinds & SCALARS - {Kind.NULL}:
        return False
    return Kind.OBJECT not in kinds or not _is_described(field)


def _is_described(field: Field) -> bool:
    """Tell whether members are declared at the field, of its elements, or of undeclared members."""
    seen: set[int] = set()
    waiting: list[Field | None] = [field]
    while waiting:
        here = waiting.pop()
        if here is not None and id(here) not in seen:
            if here.fields or here.write_only:
                return True
            seen.add(id(here))
            waiting += (here.items, here.others)
    return False
