"""Formats that texts are recognised by, strictly: storing the text must lose nothing but its spelling."""

import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs

from service.query import kinds

MAXIMUM_CHARACTERS = 2048

_SHAPES: dict[str, re.Pattern[str]] = {
    "date-time": re.compile(
        r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
    ),
    "date": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "uuid": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII),
    "objectid": re.compile(r"[0-9a-f]{24}", re.ASCII),
    "email": re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}", re.ASCII),
    "ipv4": re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII),
    "uri": re.compile(r"(?:https?|ftp|wss?)://[^\s/?#]+\.?[^\s]*"),
}
FORMATS = tuple(_SHAPES)


def _check(name: str) -> Callable[[str], bool]:
    validates = jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True).is_valid
    kind = kinds.FORMATS.get(name)

    def holds(text: str) -> bool:
        return _SHAPES[name].fullmatch(text) is not None and validates(text) and _is_storable(kind, text)

    return holds


def _is_storable(kind: kinds.Kind | None, text: str) -> bool:
    if kind is None:
        return True
    try:
        kinds.to_bson(kind, text)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], Any]] = {name: _check(name) for name in FORMATS}


def matching(text: str, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Give those of the formats that the text has.

    >>> matching("2026-11-22", FORMATS), matching("Jun 12 1998", FORMATS)
    (('date',), ())
    """
    if len(text) > MAXIMUM_CHARACTERS:
        return ()
    return tuple(name for name in formats if _CHECKS[name](text))
