"""A filter applied to a document in memory, as MongoDB would apply it."""

import operator as python
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from bson import SON, Binary, Decimal128, Int64, ObjectId

from service.query import operators
from service.query.geometry import lies_in
from service.query.tree import And, Compare, Elem, Node, Not, Or, Path, on_element


class Missing:
    """The type of MISSING."""

    __slots__ = ()


MISSING: Final = Missing()
"""What is found at a path where a document has nothing; it equals null."""

ComparisonKey = tuple[str, Any]


def comparison_key(value: Any) -> ComparisonKey:
    """Return the type's name and what to compare within it; equal keys are equal values, and all have hashes.

    >>> comparison_key(1) == comparison_key(1.0), comparison_key(1) == comparison_key(True)
    (True, False)
    >>> comparison_key(None) == comparison_key(MISSING)
    True
    """
    kind = type(value)
    name, comparable = _KEYS_BY_TYPE.get(kind, (f"other {kind.__name__}", repr))
    return name, value if comparable is None else comparable(value)


def _nothing_key(_: object) -> int:
    return 0


def _decimal_key(value: Decimal128) -> Decimal | float:
    number = value.to_decimal()
    return float("nan") if number.is_nan() else number


def _date_key(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _binary_key(value: UUID | bytes) -> tuple[int, int, bytes]:
    stored = Binary.from_uuid(value) if isinstance(value, UUID) else value
    return len(stored), stored.subtype if isinstance(stored, Binary) else 0, bytes(stored)


def _array_key(value: Iterable[Any]) -> tuple[ComparisonKey, ...]:
    return tuple(map(comparison_key, value))


def _object_key(value: Mapping[str, Any]) -> tuple[tuple[str, ComparisonKey], ...]:
    return tuple((name, comparison_key(member)) for name, member in value.items())


_KEYS_BY_TYPE: Mapping[type, tuple[str, Callable[[Any], Any] | None]] = {
    type(None): ("null", _nothing_key),
    Missing: ("null", _nothing_key),
    bool: ("boolean", None),
    int: ("number", None),
    float: ("number", None),
    Int64: ("number", None),
    Decimal128: ("number", _decimal_key),
    str: ("string", None),
    datetime: ("date", _date_key),
    ObjectId: ("objectid", None),
    UUID: ("binary", _binary_key),
    bytes: ("binary", _binary_key),
    Binary: ("binary", _binary_key),
    list: ("array", _array_key),
    tuple: ("array", _array_key),
    dict: ("object", _object_key),
    SON: ("object", _object_key),
}


def matches(node: Node, document: Mapping[str, Any]) -> bool:
    """Return whether a document, as it is stored, fulfils a filter, exactly as MongoDB would.

    >>> matches(Compare(("tags",), "eq", "new"), {"tags": ["new", "sale"]})
    True
    """
    match node:
        case Compare(("id",), name, operand):
            return _compares(document, ("_id",), name, operand)
        case And(parts):
            return all(matches(part, document) for part in parts)
        case Or(parts):
            return any(matches(part, document) for part in parts)
        case Not(part):
            return not matches(part, document)
    return _holds(node, document)


def _holds(node: Node, document: Mapping[str, Any]) -> bool:
    """Return it without the id's special name, which only the document's own level has."""
    match node:
        case Compare(path, name, operand):
            return _compares(document, path, name, operand)
        case Elem(path, condition):
            return any(_elem_holds(condition, value) for value in values_at(document, path, is_spread=False))
        case And(parts):
            return all(_holds(part, document) for part in parts)
        case Or(parts):
            return any(_holds(part, document) for part in parts)
        case Not(part):
            return not _holds(part, document)


def _elem_holds(condition: Node, array: Any) -> bool:
    return isinstance(array, list) and any(_element_holds(condition, element) for element in array)


def _element_holds(condition: Node, element: Any) -> bool:
    parts = on_element(condition)
    if parts:
        return all(_part_holds(part, element) for part in parts)
    document = _as_object(element) if isinstance(element, list) else element
    return isinstance(document, Mapping) and _holds(condition, document)


def _part_holds(part: Compare | Elem, element: Any) -> bool:
    if isinstance(part, Elem):
        return _elem_holds(part.condition, element)
    return _TESTS[part.operator]([element], part.value)


def _compares(document: Mapping[str, Any], path: Path, name: str, operand: Any) -> bool:
    return _TESTS[name](list(values_at(document, path, is_spread=name != "size")), operand)


def values_at(document: Mapping[str, Any], path: Path, *, is_spread: bool = True) -> Iterator[Any]:
    """Yield what MongoDB finds at a path: through one array at a time, MISSING for an absent member.

    An array at the end of the path is given after its elements; alone, when it is not to be spread.
    """
    here: Any = document
    for depth, name in enumerate(path, 1):
        here = here.get(name, MISSING) if isinstance(here, Mapping) else MISSING
        if isinstance(here, list):
            yield from _through(here, path[depth:], is_spread=is_spread)
            return
    yield here


def _through(array: list[Any], rest: Path, *, is_spread: bool) -> Iterator[Any]:
    if not rest:
        if is_spread:
            yield from array
        yield array
        return
    for position, element in enumerate(array):
        if isinstance(element, Mapping):
            yield from values_at(element, rest, is_spread=is_spread)
        if rest[0] != str(position):
            continue
        if len(rest) == 1:
            yield element
        elif isinstance(element, list):
            yield from _through(element, rest[1:], is_spread=is_spread)
        elif isinstance(element, Mapping):
            yield from values_at(element, rest[1:], is_spread=is_spread)


def _as_object(array: list[Any]) -> dict[str, Any]:
    """Return an array within an array as MongoDB sees it there: an object whose names are positions."""
    return {str(position): element for position, element in enumerate(array)}


Test = Callable[[list[Any], Any], bool]


def _equals(values: list[Any], operand: Any) -> bool:
    wanted = comparison_key(operand)
    return any(comparison_key(value) == wanted for value in values)


def _is_in(values: list[Any], operands: Any) -> bool:
    wanted = {comparison_key(operand) for operand in operands}
    return any(comparison_key(value) in wanted for value in values)


def _has_all(values: list[Any], operands: Any) -> bool:
    found = {comparison_key(value) for value in values}
    return bool(operands) and all(comparison_key(operand) in found for operand in operands)


def _ordered(is_in_order: Callable[[Any, Any], bool]) -> Test:
    def test(values: list[Any], operand: Any) -> bool:
        kind, bound = comparison_key(operand)
        return any(
            found == kind and is_in_order(value, bound) for found, value in map(comparison_key, values)
        )

    return test


def _text(name: str) -> Test:
    def test(values: list[Any], operand: Any) -> bool:
        search = operators.compiled_pattern(name, operand).search
        return any(isinstance(value, str) and search(value) is not None for value in values)

    return test


def _lies_in(values: list[Any], region: Any) -> bool:
    return any(lies_in(value, region) for value in values)


_TESTS: Mapping[str, Test] = {
    "eq": _equals,
    "ne": lambda values, operand: not _equals(values, operand),
    "gt": _ordered(python.gt),
    "gte": _ordered(python.ge),
    "lt": _ordered(python.lt),
    "lte": _ordered(python.le),
    "in": _is_in,
    "nin": lambda values, operands: not _is_in(values, operands),
    "exists": lambda values, operand: any(value is not MISSING for value in values) == operand,
    "all": _has_all,
    "size": lambda values, operand: any(isinstance(each, list) and len(each) == operand for each in values),
    "near": _lies_in,
    "within": _lies_in,
} | {name: _text(name) for name in operators.PATTERNS}
