"""Numbers, decimals, times and texts of a field: added exactly, and compared by the field's type."""

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

from bson import Decimal128
from bson.decimal128 import create_decimal128_context

from service.kit.errors import DocumentInvalid
from service.query.fields import Field
from service.query.kinds import Kind, to_bson
from service.schema.encoding import encode, is_told_as_text
from service.schema.sentences import shown

_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.INT64, Kind.DECIMAL})
_ANYTHING = Field(_NUMBERS - {Kind.INT64, Kind.DECIMAL})

Number = int | float | Decimal
Chosen = Callable[[Any, Any], Any]


class Unfit(ValueError):
    """A value that an operation cannot be done with; says why."""

    def __init__(self, detail: str, code: str) -> None:
        self.code = code
        super().__init__(detail)


def increased(present: Any, amount: Any, field: Field | None) -> Any:
    """Add an amount to a number, a decimal or an `int64`, exactly; what is absent or null counts as 0.

    Raises Unfit.
    """
    field = field or _ANYTHING
    if not field.kinds & _NUMBERS:
        raise Unfit("the field does not hold numbers", "type")
    addend = _number(amount, field)
    if addend is None:
        raise Unfit(f"{shown(amount)} is not a number", "type")
    summand = 0 if present is None else _number(present, field)
    if summand is None:
        raise Unfit("the present value is not a number", "type")
    if Kind.DECIMAL in field.kinds and not field.kinds & (_NUMBERS - {Kind.DECIMAL}):
        summand = _exact(summand)
    return _as_json(_sum(summand, addend), field, is_text=isinstance(present, str))


def bounded(present: Any, value: Any, field: Field | None, chosen: Chosen) -> Any:
    """Give the smaller or greater (`chosen`) of two values of one type; the new one when nothing is there.

    Raises Unfit for values without an order, or of two types.
    """
    kind, offered = _ordered(value, field)
    if present is None:
        return value
    present_kind, there = _ordered(present, field)
    if kind is not present_kind:
        raise Unfit("the present value is of another type", "type")
    return present if chosen(there, offered) == there else value


def _number(value: Any, field: Field) -> Number | None:
    """Read a JSON value as a number of the field, None when it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return None
    for kind in (Kind.INT64, Kind.DECIMAL):
        if kind in field.kinds:
            try:
                stored = to_bson(kind, value)
            except ValueError:
                continue
            return stored.to_decimal() if isinstance(stored, Decimal128) else int(stored)
    return None


def _exact(number: Number) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _sum(one: Number, other: Number) -> Number:
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        context = create_decimal128_context()
        context.traps[Inexact] = context.traps[InvalidOperation] = True
        try:
            return context.add(_exact(one), _exact(other))
        except DecimalException:
            raise Unfit("the sum is not a decimal of at most 34 digits", "range") from None
    if isinstance(one, int) and isinstance(other, float) and other.is_integer():
        other = int(other)
    try:
        return one + other
    except OverflowError:
        raise Unfit("the sum is too large", "range") from None


def _as_json(number: Number, field: Field, *, is_text: bool) -> Any:
    if isinstance(number, Decimal):
        return str(number)
    if isinstance(number, float):
        if not math.isfinite(number):
            raise Unfit("the sum is too large", "range")
        return number
    is_text = is_text and Kind.INT64 in field.kinds
    return str(number) if is_text or is_told_as_text(number, field) else number


def _ordered(value: Any, field: Field | None) -> tuple[type, Any]:
    """Give the kind of order that a value has and what stands in it; the format of its field decides."""
    try:
        stored = value if field is None else encode(value, field)
    except DocumentInvalid as error:
        raise Unfit(error.errors[0].detail if error.errors else error.detail, "format") from None
    if isinstance(stored, Decimal128):
        return Decimal, stored.to_decimal()
    if isinstance(stored, int | float) and not isinstance(stored, bool):
        return Decimal, stored
    for kind in (datetime, str):
        if isinstance(stored, kind):
            return kind, stored
    raise Unfit(f"{shown(value)} has no order", "type")
