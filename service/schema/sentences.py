"""Our sentence for each keyword of JSON Schema that a value breaks."""

import json
import re
from collections.abc import Callable
from typing import Any

MAXIMUM_SHOWN = 80
"""Characters of a value or pattern that a sentence repeats."""

_CAPITAL = re.compile(r"(?<!^)([A-Z])")


def snake_case(keyword: str) -> str:
    """Return the code of a keyword.

    >>> snake_case("additionalProperties")
    'additional_properties'
    """
    return _CAPITAL.sub(r"_\1", keyword).lower()


def shown(value: Any) -> str:
    """Return a JSON value as a sentence repeats it: short, and never a whole object or array.

    >>> shown("abc"), shown({"a": 1}), shown(-1)
    ('"abc"', 'the object', '-1')
    """
    if isinstance(value, dict):
        return "the object"
    if isinstance(value, list):
        return "the array"
    text = json.dumps(
        value[: MAXIMUM_SHOWN + 1] if isinstance(value, str) else value, ensure_ascii=False, default=str
    )
    return text if len(text) <= MAXIMUM_SHOWN else text[: MAXIMUM_SHOWN - 1] + "…"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def types(names: list[str]) -> str:
    """Return the types that a value may have.

    >>> types(["string", "null"])
    'null or a string'
    """
    articles = {"null": "null", "array": "an array", "object": "an object", "integer": "an integer"}
    return " or ".join(articles.get(name, f"a {name}") for name in sorted(names))


SENTENCES: dict[str, Callable[[str, Any], str]] = {
    "type": lambda value, kind: f"{value} is not {types(kind.types)}",
    "const": lambda value, kind: f"{value} is not {shown(kind.expected_value)}, the only value allowed",
    "enum": lambda value, kind: f"{value} is not one of {_options(kind.options)}",
    "minimum": lambda value, kind: f"{value} is less than the minimum of {kind.limit}",
    "maximum": lambda value, kind: f"{value} is greater than the maximum of {kind.limit}",
    "exclusiveMinimum": lambda value, kind: f"{value} is not greater than {kind.limit}",
    "exclusiveMaximum": lambda value, kind: f"{value} is not less than {kind.limit}",
    "multipleOf": lambda value, kind: f"{value} is not a multiple of {kind.multiple_of}",
    "minLength": lambda value, kind: f"{value} is shorter than {_counted(kind.limit, 'character')}",
    "maxLength": lambda value, kind: f"{value} is longer than {_counted(kind.limit, 'character')}",
    "pattern": lambda value, kind: f"{value} does not match the pattern {kind.pattern[:MAXIMUM_SHOWN]}",
    "format": lambda value, kind: f"{value} is not of the format {kind.format[:MAXIMUM_SHOWN]}",
    "minItems": lambda value, kind: f"{value} has fewer than {_counted(kind.limit, 'element')}",
    "maxItems": lambda value, kind: f"{value} has more than {_counted(kind.limit, 'element')}",
    "uniqueItems": lambda value, _: f"{value} has the same element twice",
    "contains": lambda value, _: f"{value} has no element of the kind that it must contain",
    "minContains": lambda value, _: f"{value} has too few elements of the kind that it must contain",
    "maxContains": lambda value, _: f"{value} has too many elements of the kind that it must contain",
    "minProperties": lambda value, kind: f"{value} has fewer than {_counted(kind.limit, 'field')}",
    "maxProperties": lambda value, kind: f"{value} has more than {_counted(kind.limit, 'field')}",
    "unevaluatedItems": lambda value, _: f"{value} has more elements than are allowed",
    "not": lambda value, _: f"{value} is of a kind that is not allowed here",
    "anyOf": lambda value, _: f"{value} fits none of the alternatives",
    "oneOf": lambda value, _: f"{value} fits none of the alternatives, or more than one",
    "falseSchema": lambda value, _: f"{value} is not allowed: there can be no value here",
}
"""By keyword: the sentence for a value, as it is shown, and what the validator says of the keyword."""


def _options(options: list[Any]) -> str:
    text = ", ".join(map(shown, options[:10]))
    return text if len(text) <= 2 * MAXIMUM_SHOWN and len(options) <= 10 else text[: 2 * MAXIMUM_SHOWN] + "…"  # noqa: PLR2004  # as many as are listed
