"""From a field, an operator and what a client wrote to a comparison in the field's own types."""

from collections.abc import Callable, Mapping
from typing import Any

from service.kit.violations import shown
from service.query.fields import Field
from service.query.geometry import (
    Misplaced,
    Region,
    can_hold_place,
    circle_of_json,
    circle_of_text,
    region_of_json,
    region_of_text,
)
from service.query.kinds import Kind
from service.query.limits import MAXIMUM_LIST_LENGTH, MAXIMUM_TEXT_CHARACTERS
from service.query.operators import SCALARS, Operator, Takes
from service.query.tree import And, Compare, Node, Or, Path
from service.query.values import Unreadable, arrays_from_json, comparable_kinds, from_json, from_text

MAXIMUM_SIZE = 2**31 - 1
_LONGEST_SIZE = len(str(MAXIMUM_SIZE))
_FLAGS = {"true": True, "false": False}
_OF_TEXT: Mapping[Takes, Callable[[str], Region]] = {
    Takes.CIRCLE: circle_of_text,
    Takes.REGION: region_of_text,
}
_OF_JSON: Mapping[Takes, Callable[[Any], Region]] = {
    Takes.CIRCLE: circle_of_json,
    Takes.REGION: region_of_json,
}


class Unfit(Exception):
    """An operator or a value that does not fit the field, as a sentence."""

    def __init__(self, detail: str, code: str) -> None:
        self.code = code
        super().__init__(detail)


def compare_text(path: Path, field: Field, operator: Operator, text: str) -> Node:
    """Build the comparison of `filter[path][operator]=text`; lists are separated by commas.

    Text is compared as everything that the field's kinds let it mean: 1776 in a field of numbers and strings
    is the number and the string. Raises Unfit.
    """
    if operator.takes is Takes.CONDITION:
        raise Unfit(f"`{operator.name}` is written in JSON, such as {operator.example}", "form")
    if operator.takes in _OF_TEXT:
        return _place(path, field, operator, _OF_TEXT[operator.takes], text)
    kinds = _kinds(path, field, operator)
    try:
        return _compare_text(path, operator, kinds, text)
    except Unreadable as problem:
        raise Unfit(f"`{shown(text)}` is {problem}", "type") from None


def compare_json(path: Path, field: Field, operator: Operator, value: Any) -> Node:
    """Build the comparison of `{path: {operator: value}}`; the value is of a kind that the field can have.

    Raises Unfit.
    """
    if operator.takes in _OF_JSON:
        return _place(path, field, operator, _OF_JSON[operator.takes], value)
    kinds = _kinds(path, field, operator, is_null=value is None)
    if operator.takes is not Takes.LIST:
        return _compare_json(path, field, operator, kinds, value)
    if not isinstance(value, list):
        raise Unfit(f"{described(value)} is not a list", "type")
    return _list(path, operator, [_readings(field, kinds, operator, part) for part in _bounded(value)])


def _compare_text(path: Path, operator: Operator, kinds: frozenset[Kind], text: str) -> Node:
    match operator.takes:
        case Takes.FLAG:
            return Compare(path, operator.name, _flag(_FLAGS.get(text)))
        case Takes.COUNT:
            is_short = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_SIZE
            return Compare(path, operator.name, _count(int(text) if is_short else None))
        case Takes.LIST:
            return _list(path, operator, [from_text(kinds, part) for part in _bounded(text.split(","))])
    return _one(path, operator, _bounded_text(operator, from_text(kinds, text)))


def _compare_json(path: Path, field: Field, operator: Operator, kinds: frozenset[Kind], value: Any) -> Node:
    try:
        match operator.takes:
            case Takes.FLAG:
                return Compare(path, operator.name, _flag(value))
            case Takes.COUNT:
                return Compare(path, operator.name, _count(value))
    except Unreadable as problem:
        raise Unfit(f"{described(value)} is {problem}", "type") from None
    return _one(path, operator, _readings(field, kinds, operator, value))


def _place(path: Path, field: Field, operator: Operator, read: Callable[[Any], Region], value: Any) -> Node:
    if not can_hold_place(field):
        detail = f"`{operator.name}` needs a place, an object with `type` and `coordinates`, and"
        raise Unfit(f"{detail} {_named(path)} is none", "operator")
    try:
        return Compare(path, operator.name, read(value))
    except Misplaced as problem:
        raise Unfit(str(problem), problem.code) from None


def _kinds(path: Path, field: Field, operator: Operator, *, is_null: bool = False) -> frozenset[Kind]:
    """Return the kinds that the operator can compare there; Unfit when there are none."""
    if field.items is not None and field.items.write_only and operator.takes is not Takes.FLAG:
        # It would hold for the hidden elements too.
        raise Unfit(f"`{operator.name}` does not apply to {_named(path)}", "operator")
    if field.is_partial:  # it would hold for what the mask leaves out too
        raise Unfit(f"{_named(path)} is an object; compare its members, as `object.member`", "operator")
    kinds = comparable_kinds(field) & operator.kinds
    is_for_arrays = operator.name == "all" or operator.takes is Takes.COUNT
    if is_for_arrays and Kind.ARRAY not in field.kinds:
        raise Unfit(f"`{operator.name}` needs an array, and {_named(path)} is none", "operator")
    if kinds & (SCALARS | {Kind.ARRAY}) - {Kind.NULL} or operator.takes is Takes.FLAG:
        return kinds
    if operator.takes_null and (is_null or operator.takes is Takes.LIST or Kind.NULL in kinds):
        return kinds
    if Kind.OBJECT in comparable_kinds(field):
        raise Unfit(f"{_named(path)} is an object; compare its members, as `object.member`", "operator")
    raise Unfit(f"`{operator.name}` does not apply to {_named(path)}", "operator")


def _readings(field: Field, kinds: frozenset[Kind], operator: Operator, value: Any) -> list[Any]:
    """Return everything that a JSON value can mean there, one reading at least."""
    if value is None and operator.takes_null:
        return [None]
    try:
        if isinstance(value, list) and operator.takes_arrays:
            return [*arrays_from_json(field, value)]
        return _bounded_text(operator, from_json(kinds, value))
    except Unreadable as problem:
        raise Unfit(f"{described(value)} is {problem}", "type") from None


def _one(path: Path, operator: Operator, readings: list[Any]) -> Node:
    if len(readings) == 1:
        return Compare(path, operator.name, readings[0])
    if operator.any_of != "or":
        return Compare(path, operator.any_of, tuple(readings))
    if not path:
        raise Unfit(f"`{operator.name}` within `elem` needs elements of one kind", "operator")
    return Or(tuple(Compare(path, operator.name, reading) for reading in readings))


def _list(path: Path, operator: Operator, readings: list[list[Any]]) -> Node:
    if operator.name != "all":
        return Compare(path, operator.name, tuple(one for several in readings for one in several))
    if not readings:
        raise Unfit(f"`{operator.name}` needs at least one value", "form")
    if all(len(several) == 1 for several in readings):
        return Compare(path, operator.name, tuple(several[0] for several in readings))
    return And(tuple(Compare(path, "in", tuple(several)) for several in readings))


def _bounded(values: list[Any]) -> list[Any]:
    if len(values) > MAXIMUM_LIST_LENGTH:
        raise Unfit(f"a list may have {MAXIMUM_LIST_LENGTH} values at the most", "too_complex")
    return values


def _bounded_text(operator: Operator, readings: list[Any]) -> list[Any]:
    if operator.takes is Takes.TEXT and len(readings[0]) > MAXIMUM_TEXT_CHARACTERS:
        detail = f"the text of `{operator.name}` may have {MAXIMUM_TEXT_CHARACTERS} characters at the most"
        raise Unfit(detail, "too_complex")
    return readings


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unreadable("not `true` or `false`")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAXIMUM_SIZE:
        raise Unreadable("not a whole number from 0")
    return value


def _named(path: Path) -> str:
    return f"`{shown('.'.join(path))}`" if path else "an element of the array"


def described(value: Any) -> str:
    """Name a JSON value in a message."""
    if isinstance(value, str):
        return f"`{shown(value)}`"
    if value is None or isinstance(value, bool):
        return f"`{str(value).lower().replace('none', 'null')}`"
    if isinstance(value, int | float):
        return f"`{value}`" if abs(value) < 1e30 else "the number"  # noqa: PLR2004  # short enough to repeat
    return "the list" if isinstance(value, list) else "the object"
