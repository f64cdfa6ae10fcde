"""Ids as clients write them: read from a path or a body."""

from typing import Any

from service.collections.registry import Collection
from service.kit.errors import IdInvalid
from service.query import kinds
from service.query.kinds import Kind

MAXIMUM_ID_LENGTH = 200
RESERVED = frozenset({"query", "queries"})
"""What stands in the place of an id in the paths of a collection's own endpoints, so that no id can be it."""


def parse(collection: Collection, text: str) -> Any:
    """Turn the id in a path into the stored id; raises IdInvalid, saying what ids here look like."""
    kind = collection.description.options.id_kind
    try:
        return _READERS[kind](text)
    except ValueError as error:
        raise IdInvalid(f"`{text[:80]}` is not an id of `{collection.name}`: {error}") from None


def supplied(collection: Collection, value: Any) -> Any:
    """Turn the id in a body into the stored id; raises IdInvalid."""
    kind = collection.description.options.id_kind
    expected = int if kind is Kind.INTEGER else str
    if type(value) is not expected:
        raise IdInvalid(f"The id of a document of `{collection.name}` is {_ARTICLES[kind]}")
    return parse(collection, str(value))


def _integer(text: str) -> int:
    number = int(kinds.to_bson(Kind.INT64, text))
    if abs(number) > kinds.MAXIMUM_SAFE_INTEGER:
        raise ValueError("not within 53 bits")
    return number


def _string(text: str) -> str:
    if not text or len(text) > MAXIMUM_ID_LENGTH:
        raise ValueError(f"not 1 to {MAXIMUM_ID_LENGTH} characters long")
    if "/" in text or not text.isprintable() or text in {".", ".."}:
        raise ValueError("a `/` or an unprintable character is in it")
    if text in RESERVED:
        raise ValueError("the word is reserved")
    return text


_READERS = {
    Kind.OBJECT_ID: lambda text: kinds.to_bson(Kind.OBJECT_ID, text),
    Kind.UUID: lambda text: kinds.to_bson(Kind.UUID, text),
    Kind.INTEGER: _integer,
    Kind.STRING: _string,
}
_ARTICLES = {
    Kind.OBJECT_ID: "a string of 24 hexadecimal digits",
    Kind.UUID: "a UUID as a string",
    Kind.INTEGER: "an integer",
    Kind.STRING: "a string",
}
