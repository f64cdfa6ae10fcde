"""The functions of expressions: the table that the reader of expressions and the documentation share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.query.fields import Field
from service.query.kinds import Kind
from service.saved_queries.limits import MAXIMUM_ARGUMENTS
from service.saved_queries.shapes import ANYTHING

NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.INT64, Kind.DECIMAL})
TEXTS = frozenset({Kind.STRING})
DATES = frozenset({Kind.DATE_TIME, Kind.DATE})
BOOLEANS = frozenset({Kind.BOOLEAN})
ARRAYS = frozenset({Kind.ARRAY})
ALL = frozenset(Kind)
UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
IT = "$$it"

Build = Callable[[list[Any]], Any]
Gives = Callable[[Sequence[Field]], Field]


@dataclass(frozen=True, slots=True)
class Function:
    """One row: the name, what it takes and gives, how MongoDB is told, and its line of documentation.

    `words` are arguments after the expressions that are words of the definition itself: a unit, a time zone.
    """

    name: str
    takes: frozenset[Kind]
    least: int
    most: int
    build: Build
    gives: Gives
    help: str
    example: str
    words: tuple[str, ...] = ()
    compares: bool = False


def _plain(operator: str) -> Build:
    return lambda arguments: {operator: arguments}


def _single(operator: str) -> Build:
    return lambda arguments: {operator: arguments[0]}


def _when(value: Any, test: Any, then: Any) -> dict[str, Any]:
    """Return what `then` makes of a value, IT, or null where the test fails; the value is computed once."""
    return {"$let": {"vars": {"it": value}, "in": {"$cond": [test, then, None]}}}


def _unless_zero(operator: str) -> Build:
    return lambda arguments: _when(arguments[1], {"$ne": [IT, 0]}, {operator: [arguments[0], IT]})


def _part_of_date(operator: str) -> Build:
    def build(arguments: list[Any]) -> Any:
        zone = {"timezone": arguments[1]} if len(arguments) > 1 else {}
        return {operator: {"date": arguments[0], **zone}}

    return build


def _truncate(arguments: list[Any]) -> Any:
    zone = {"timezone": arguments[2]} if len(arguments) > 2 else {}  # noqa: PLR2004  # the third, if any
    return {"$dateTrunc": {"date": arguments[0], "unit": arguments[1], "startOfWeek": "monday", **zone}}


def _difference(arguments: list[Any]) -> Any:
    start, end, unit = arguments
    return {"$dateDiff": {"startDate": start, "endDate": end, "unit": unit, "startOfWeek": "monday"}}


def _is_text(argument: Any) -> dict[str, Any]:
    return {"$eq": [{"$type": argument}, "string"]}


def number(fields: Sequence[Field]) -> Field:
    """Return the Field of a number made of others: a decimal or a long integer may come of such.

    A long integer is then text where a double would round it, whatever the type of the others.
    """
    kinds = frozenset(kind for field in fields for kind in _kinds(field))
    long_or_any = Kind.INT64 if Kind.INT64 in kinds else Kind.NUMBER
    return Field(frozenset({long_or_any}) | kinds & {Kind.DECIMAL})


def one_of(fields: Sequence[Field]) -> Field:
    """Return the Field of a value that is one of several."""
    first, *others = fields
    if all(field is first for field in others):
        return first
    objects = [field for field in fields if field.fields or field.items or field.others]
    kinds = frozenset(kind for field in fields for kind in field.kinds)
    shape = objects[0] if len(objects) == 1 else ANYTHING
    return Field(kinds, fields=shape.fields, items=shape.items, others=shape.others)


def _kinds(field: Field) -> frozenset[Kind]:
    return field.kinds if field.items is None else field.kinds | field.items.kinds


def _constant(*kinds: Kind) -> Gives:
    field = Field(frozenset(kinds))
    return lambda _: field


_FLAG = _constant(Kind.BOOLEAN)
_COUNT = _constant(Kind.INTEGER)
_TEXT = _constant(Kind.STRING)


def _arithmetic(
    name: str, build: Build, help_: str, example: str, *, least: int = 2, most: int = 2
) -> Function:
    return Function(name, NUMBERS, least, most, build, number, help_, example)


def _comparison(name: str, help_: str) -> Function:
    example = f'{{"{name}": ["price", 10]}}'
    return Function(name, ALL, 2, 2, _plain(f"${name}"), _FLAG, help_, example, compares=True)


def _date_part(name: str, operator: str, help_: str) -> Function:
    example = f'{{"{name}": ["_created_at", "Europe/Berlin"]}}'
    return Function(name, DATES, 1, 1, _part_of_date(operator), _COUNT, help_, example, ("zone?",))


_MANY = MAXIMUM_ARGUMENTS

_ROWS = (
    _arithmetic("add", _plain("$add"), "the sum", '{"add": ["price", "tax"]}', most=_MANY),
    _arithmetic("subtract", _plain("$subtract"), "the first less the second", '{"subtract": ["price", 5]}'),
    _arithmetic("multiply", _plain("$multiply"), "the product", '{"multiply": ["price", 2]}', most=_MANY),
    _arithmetic(
        "divide",
        _unless_zero("$divide"),
        "the first by the second; null by zero",
        '{"divide": ["price", "parts"]}',
    ),
    _arithmetic("mod", _unless_zero("$mod"), "the remainder; null by zero", '{"mod": ["year", 10]}'),
    _arithmetic("abs", _single("$abs"), "without its sign", '{"abs": "balance"}', least=1, most=1),
    _arithmetic(
        "ceil", _single("$ceil"), "rounded up to a whole number", '{"ceil": "price"}', least=1, most=1
    ),
    _arithmetic(
        "floor", _single("$floor"), "rounded down to a whole number", '{"floor": "price"}', least=1, most=1
    ),
    Function(
        "round",
        NUMBERS,
        1,
        1,
        _plain("$round"),
        number,
        "rounded, to so many digits after the point; halves to the even digit",
        '{"round": ["price", 2]}',
        ("digits?",),
    ),
    Function(
        "concat",
        TEXTS,
        2,
        _MANY,
        _plain("$concat"),
        _TEXT,
        "texts one after the other",
        '{"concat": ["name", {"value": "!"}]}',
    ),
    Function("lower", TEXTS, 1, 1, _single("$toLower"), _TEXT, "in small letters", '{"lower": "name"}'),
    Function("upper", TEXTS, 1, 1, _single("$toUpper"), _TEXT, "in capital letters", '{"upper": "name"}'),
    Function(
        "length",
        TEXTS,
        1,
        1,
        lambda arguments: _when(arguments[0], _is_text(IT), {"$strLenCP": IT}),
        _COUNT,
        "how many characters a text has",
        '{"length": "name"}',
    ),
    _date_part("year", "$year", "the year"),
    _date_part("month", "$month", "the month, from 1"),
    _date_part("day", "$dayOfMonth", "the day of the month, from 1"),
    _date_part("weekday", "$isoDayOfWeek", "the day of the week, from 1 for Monday"),
    _date_part("week", "$isoWeek", "the week of the year (ISO 8601)"),
    _date_part("hour", "$hour", "the hour, from 0"),
    Function(
        "truncate",
        DATES,
        1,
        1,
        _truncate,
        _constant(Kind.DATE_TIME),
        "the beginning of the time's " + ", ".join(UNITS),
        '{"truncate": ["_created_at", "month", "Europe/Berlin"]}',
        ("unit", "zone?"),
    ),
    Function(
        "difference",
        DATES,
        2,
        2,
        _difference,
        _COUNT,
        "how many borders of the unit lie between two times",
        '{"difference": ["_created_at", "_updated_at", "day"]}',
        ("unit",),
    ),
    _comparison("eq", "whether both are the same"),
    _comparison("ne", "whether they differ"),
    _comparison("gt", "whether the first is greater or later"),
    _comparison("gte", "whether the first is greater, later or equal"),
    _comparison("lt", "whether the first is less or earlier"),
    _comparison("lte", "whether the first is less, earlier or equal"),
    Function(
        "and",
        BOOLEANS,
        1,
        _MANY,
        _plain("$and"),
        _FLAG,
        "whether all are true",
        '{"and": [{"gt": ["price", 1]}, "on_sale"]}',
    ),
    Function(
        "or",
        BOOLEANS,
        1,
        _MANY,
        _plain("$or"),
        _FLAG,
        "whether one is true",
        '{"or": ["on_sale", {"lt": ["price", 1]}]}',
    ),
    Function("not", BOOLEANS, 1, 1, _plain("$not"), _FLAG, "whether it is not true", '{"not": "on_sale"}'),
    Function(
        "if",
        ALL,
        3,
        3,
        _plain("$cond"),
        lambda fields: one_of(fields[1:]),
        "the second when the first is true, else the third",
        '{"if": [{"gte": ["price", 100]}, {"value": "dear"}, {"value": "cheap"}]}',
    ),
    Function(
        "if_null",
        ALL,
        2,
        _MANY,
        _plain("$ifNull"),
        one_of,
        "the first that is not null or missing",
        '{"if_null": ["discount", 0]}',
    ),
    Function(
        "size",
        ARRAYS,
        1,
        1,
        lambda arguments: _when(arguments[0], {"$isArray": IT}, {"$size": IT}),
        _COUNT,
        "how many elements an array has; null when it is none",
        '{"size": "tags"}',
    ),
)

FUNCTIONS: Mapping[str, Function] = {row.name: row for row in _ROWS}
"""Every function by its name; `object`, `value` and `param` are forms of their own."""


def as_markdown() -> str:
    """Return the table of functions for docs/reference/saved-queries.md."""
    rows = [f"| `{row.name}` | {row.help} | `{row.example}` |" for row in _ROWS]
    return "\n".join(["| function | gives | example |", "|---|---|---|", *rows])
