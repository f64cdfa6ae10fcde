"""Expressions: a field, a constant, a parameter or a function of expressions, read into MongoDB's form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from service.kit.errors import suggestion
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations, shown
from service.query.fields import Field
from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM, Kind
from service.query.values import Unreadable, comparable_kinds, from_json
from service.saved_queries.functions import ALL, FUNCTIONS, NUMBERS, UNITS, Function
from service.saved_queries.limits import (
    MAXIMUM_EXPRESSION_DEPTH,
    MAXIMUM_EXPRESSIONS,
    MAXIMUM_MEMBERS,
)
from service.saved_queries.parameters import Later, Parameters
from service.saved_queries.shapes import ANYTHING, Shape
from service.schema.check import name_fault

FORMS = ("value", "param", "object")
MAXIMUM_DIGITS = 20
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}", re.ASCII)
UNSAID = object()
_CONSTANTS: Mapping[type, Kind] = {
    type(None): Kind.NULL,
    bool: Kind.BOOLEAN,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.STRING,
}


@dataclass(frozen=True, slots=True)
class Expression:
    """What MongoDB computes, and the Field of it; `constant` is the JSON value of a constant."""

    mongo: Any
    field: Field
    constant: Any = UNSAID


UNKNOWN = Expression({"$literal": None}, ANYTHING)
"""What stands for an expression that is at fault, so that nothing else is said of it."""


def literal(value: Any) -> dict[str, Any]:
    """Return a value that is data whatever it looks like.

    >>> literal("$secret")
    {'$literal': '$secret'}
    """
    return {"$literal": value}


class ExpressionReader:
    """Reads the expressions of one query: counts them, notes what is wrong."""

    def __init__(self, faults: Violations, parameters: Parameters) -> None:
        self._faults = faults
        self._parameters = parameters
        self._count = 0

    def read(self, value: Any, shape: Shape, pointer: str, depth: int = 1) -> Expression:
        """Read one expression over documents of a shape; UNKNOWN when it is at fault."""
        self._count += 1
        if self._count > MAXIMUM_EXPRESSIONS:
            detail = f"a query has at most {MAXIMUM_EXPRESSIONS} expressions"
            return self._refuse(detail, "too_complex", "/".join(pointer.split("/")[:3]))
        if depth > MAXIMUM_EXPRESSION_DEPTH:
            detail = f"expressions lie at most {MAXIMUM_EXPRESSION_DEPTH} levels within each other"
            return self._refuse(detail, "too_complex", pointer)
        if isinstance(value, str):
            return self.path(value, shape, pointer)
        if type(value) in _CONSTANTS:
            return self._constant(value, pointer)
        if not isinstance(value, dict) or len(value) != 1:
            detail = (
                "an expression is a field's name, a number, true, false, null, or an object of one member"
            )
            return self._refuse(detail, "type", pointer)
        ((name, operand),) = value.items()
        return self._form(name, operand, shape, pointer + escape_pointer(name), depth)

    def path(self, text: str, shape: Shape, pointer: str) -> Expression:
        """Read a field's dotted path."""
        found = shape.find(text)
        if found is None:
            hint = suggestion(text[:64], shape.root.names()) or (
                f'A text that is no field is written {{"value": "{shown(text)}"}}.'
            )
            return self._refuse(f"there is no field `{shown(text)}`", "unknown_field", pointer, hint)
        path, field = found
        return Expression(f"${path}", field)

    def members(self, value: Any, shape: Shape, pointer: str, depth: int = 1) -> dict[str, Expression]:
        """Read an object of new members and their expressions."""
        if not isinstance(value, dict) or not value:
            self._refuse("it is not an object of names and expressions", "type", pointer)
            return {}
        if len(value) > MAXIMUM_MEMBERS:
            self._refuse(f"there are more than {MAXIMUM_MEMBERS} members", "too_complex", pointer)
            return {}
        return {
            name: self.read(part, shape, pointer + escape_pointer(name), depth)
            for name, part in value.items()
            if self.can_be_named(name, pointer)
        }

    def named(self, names: list[Any], shape: Shape, pointer: str) -> dict[str, Expression]:
        """Read an array of fields' paths; returns each by the last name of its path."""
        made: dict[str, Expression] = {}
        if len(names) > MAXIMUM_MEMBERS:
            self._refuse(f"there are more than {MAXIMUM_MEMBERS} members", "too_complex", pointer)
            return made
        for index, path in enumerate(names):
            at = f"{pointer}/{index}"
            own = str(path).rsplit(".", maxsplit=1)[-1]
            if not isinstance(path, str):
                self._refuse("it is not the name of a field", "type", at)
            elif own in made:
                hint = 'Name them by an object, as in {"a": "x.name", "b": "y.name"}.'
                self._refuse(f"two of the fields are called `{shown(own)}`", "repeated", at, hint)
            else:
                made[own] = self.path(path, shape, at)
        return made

    def can_be_named(self, name: str, pointer: str) -> bool:
        """Return whether a new member can have a name; note why it cannot."""
        fault = name_fault(name)
        if fault is not None:
            self._refuse(fault, "name", pointer + escape_pointer(name[:80]))
        return fault is None

    def _refuse(self, detail: str, code: str, pointer: str, hint: str | None = None) -> Expression:
        self._faults.add(detail, code, pointer, hint)
        return UNKNOWN

    def _constant(self, value: Any, pointer: str) -> Expression:
        if type(value) not in _CONSTANTS:
            return self._refuse("a constant is text, a number, true, false or null", "type", pointer)
        if isinstance(value, int) and not INT64_MINIMUM <= value <= INT64_MAXIMUM:
            return self._refuse("the number is not within 64 bits", "range", pointer)
        return Expression(literal(value), Field(frozenset({_CONSTANTS[type(value)]})), constant=value)

    def _form(self, name: str, operand: Any, shape: Shape, pointer: str, depth: int) -> Expression:
        if name == "value":
            return self._constant(operand, pointer)
        if name == "param":
            return self._parameter(operand, pointer)
        if name == "object":
            made = self.members(operand, shape, pointer, depth + 1)
            fields = {each: expression.field for each, expression in made.items()}
            mongo = {each: expression.mongo for each, expression in made.items()}
            return Expression(mongo, Field(frozenset({Kind.OBJECT}), fields=fields))
        function = FUNCTIONS.get(name)
        if function is None:
            known = suggestion(name[:64], (*FUNCTIONS, *FORMS))
            hint = known or ("Names have no `$` here." if name.startswith("$") else None)
            return self._refuse(f"there is no function `{shown(name)}`", "unknown_function", pointer, hint)
        return self._call(function, operand, shape, pointer, depth)

    def _parameter(self, name: Any, pointer: str) -> Expression:
        field = self._parameters.field(name) if isinstance(name, str) else None
        if field is None:
            said, known = shown(str(name)), self._parameters.schemas
            hint = suggestion(str(name)[:64], known)
            return self._refuse(f"the query has no parameter `{said}`", "unknown_parameter", pointer, hint)
        return Expression(Later(lambda values: literal(values.bson[name])), field)

    def _call(self, function: Function, operand: Any, shape: Shape, pointer: str, depth: int) -> Expression:
        given = operand if isinstance(operand, list) else [operand]
        required = sum(not word.endswith("?") for word in function.words)
        if not function.least + required <= len(given) <= function.most + len(function.words):
            most = function.most + len(function.words)
            least = function.least + required
            number = str(least) if least == most else f"{least} to {most}"
            return self._refuse(f"`{function.name}` takes {number} arguments", "form", pointer)
        count = min(len(given), function.most) if function.words else len(given)
        places = [
            f"{pointer}/{index}" if isinstance(operand, list) else pointer for index in range(len(given))
        ]
        read = [self.read(given[index], shape, places[index], depth + 1) for index in range(count)]
        for expression, place in zip(read, places, strict=False):
            self._check_kind(function, expression, place)
        if function.compares:
            read = self._comparable(read, places)
        words = [
            self._word(word.removesuffix("?"), each, place)
            for word, each, place in zip(function.words, given[count:], places[count:], strict=False)
        ]
        mongo = function.build([*(each.mongo for each in read), *words])
        return Expression(mongo, function.gives([each.field for each in read]))

    def _check_kind(self, function: Function, expression: Expression, pointer: str) -> None:
        if function.takes == ALL or expression.field.kinds & function.takes:
            return
        if expression.field.kinds == {Kind.NULL}:
            return
        wanted = ", ".join(sorted(function.takes))
        had = ", ".join(sorted(expression.field.kinds)) or "nothing"
        hint = (
            "`unwind` gives the elements of an array one by one."
            if Kind.ARRAY in expression.field.kinds
            else None
        )
        self._refuse(f"`{function.name}` takes {wanted}, and this is {had}", "type", pointer, hint)

    def _comparable(self, both: list[Expression], places: list[str]) -> list[Expression]:
        """Return both sides of a comparison, a constant as a value of the other side's kind."""
        left, right = both
        if left.constant is not UNSAID:
            left = self._as_kind_of(right, left, places[0])
        elif right.constant is not UNSAID:
            right = self._as_kind_of(left, right, places[1])
        elif not _one_number(left.field.kinds) & _one_number(right.field.kinds):
            kinds = [", ".join(sorted(each.field.kinds)) for each in both]
            self._refuse(f"{kinds[0]} is never compared with {kinds[1]}", "type", places[1])
        return [left, right]

    def _as_kind_of(self, other: Expression, constant: Expression, pointer: str) -> Expression:
        if constant.constant is None:
            return constant
        try:
            value = from_json(comparable_kinds(other.field), constant.constant)[0]
        except Unreadable as problem:
            return self._refuse(f"`{shown(str(constant.constant))}` is {problem}", "type", pointer)
        return Expression(literal(value), constant.field)

    def _word(self, word: str, value: Any, pointer: str) -> Any:
        """Read an argument that is a word of the definition, never of a request."""
        match word:
            case "unit" if value not in UNITS:
                self._refuse(f"the unit is not one of {', '.join(UNITS)}", "enum", pointer)
            case "zone" if not _is_zone(value):
                self._refuse("there is no such time zone", "enum", pointer, "Write it as in `Europe/Berlin`.")
            case "digits" if type(value) is not int or not 0 <= value <= MAXIMUM_DIGITS:
                self._refuse(f"the number of digits goes from 0 to {MAXIMUM_DIGITS}", "range", pointer)
        return literal(value) if word == "zone" else value


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_zone(value: Any) -> bool:
    """Return whether this may be a time zone; MongoDB has the last word where the system knows none."""
    return (
        isinstance(value, str) and _ZONE.fullmatch(value) is not None and (not _zones() or value in _zones())
    )


def _one_number(kinds: frozenset[Kind]) -> frozenset[Kind]:
    """Return kinds with all that are numbers as one, and days as times."""
    found = kinds - {Kind.NULL}
    if found & NUMBERS:
        found |= NUMBERS
    return found | {Kind.DATE_TIME} if Kind.DATE in found else found
