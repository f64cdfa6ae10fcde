"""A filter applied to a document in memory, as MongoDB would apply it."""

import operator as python
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.query import patterns
from service.query.bson_order import MISSING, key
from service.query.geometry import lies_in
from service.query.tree import And, Compare, Elem, Node, Not, Or, Path, on_element


def matches(node: Node, document: Mapping[str, Any]) -> bool:
    """Tell whether a document, in the form in which it is stored, fulfils a filter, exactly as MongoDB would.

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
    """Tell it without the id's special name, which only the document's own level has."""
    match node:
        case Compare(path, name, operand):
            return _compares(document, path, name, operand)
        case Elem(path, condition):
            return any(_elem_holds(condition, value) for value in _values(document, path, is_spread=False))
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
    return _TESTS[name](list(_values(document, path, is_spread=name != "size")), operand)


def _values(document: Mapping[str, Any], path: Path, *, is_spread: bool) -> Iterator[Any]:
    """Give what MongoDB finds at a path: through one array at a time, MISSING for an absent member.

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
            yield from _values(element, rest, is_spread=is_spread)
        if rest[0] != str(position):
            continue
        if len(rest) == 1:
            yield element
        elif isinstance(element, list):
            yield from _through(element, rest[1:], is_spread=is_spread)
        elif isinstance(element, Mapping):
            yield from _values(element, rest[1:], is_spread=is_spread)


def _as_object(array: list[Any]) -> dict[str, Any]:
    """Give an array within an array as MongoDB sees it there: an object whose names are positions."""
    return {str(position): element for position, element in enumerate(array)}


Test = Callable[[list[Any], Any], bool]


def _equals(values: list[Any], operand: Any) -> bool:
    wanted = key(operand)
    return any(key(value) == wanted for value in values)


def _is_in(values: list[Any], operands: Any) -> bool:
    wanted = {key(operand) for operand in operands}
    return any(key(value) in wanted for value in values)


def _has_all(values: list[Any], operands: Any) -> bool:
    found = {key(value) for value in values}
    return bool(operands) and all(key(operand) in found for operand in operands)


def _ordered(is_in_order: Callable[[Any, Any], bool]) -> Test:
    def test(values: list[Any], operand: Any) -> bool:
        kind, bound = key(operand)
        return any(found == kind and is_in_order(value, bound) for found, value in map(key, values))

    return test


def _text(name: str) -> Test:
    def test(values: list[Any], operand: Any) -> bool:
        search = patterns.compiled(name, operand).search
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
} | {name: _text(name) for name in patterns.PATTERNS}
