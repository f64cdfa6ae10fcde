"""Documents in JSON files: arrays, objects of arrays, one object on each line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from service.kit.errors import StartupFailure
from service.transfer.cursor import MAXIMUM_DOCUMENT_BYTES, Cursor, Position, malformed, refused
from service.transfer.decoding import Decoder, Refused
from service.transfer.names import MemberNames

MAXIMUM_COLLECTIONS = 100

_WORDS = {"{": "an object", "[": "an array", '"': "a string", "t": "a boolean", "f": "a boolean", "n": "null"}
_NUMBERS = "-0123456789"


class Passage(Protocol):
    """The part of a file that becomes one collection: it can be read again and again."""

    size_bytes: int
    bytes_read: int

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the documents in the file's order; raises StartupFailure where the file is at fault."""


class Array:
    """A JSON array of objects that begins at a position of a file; `member` names it within an object."""

    def __init__(
        self, path: Path, decoder: Decoder, position: Position, end: int, member: str | None = None
    ) -> None:
        self.size_bytes = end - position.byte
        self.bytes_read = 0
        self._path, self._decoder, self._position, self._member = path, decoder, position, member

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the objects of the array, one chunk of the file in memory at a time."""
        with self._path.open("rb") as file:
            cursor = Cursor(self._path, file, self._decoder, self._position)
            for document in elements(cursor, self._path, self._member):
                self.bytes_read = min(cursor.bytes_read - self._position.byte, self.size_bytes)
                yield document
            if self._member is None and cursor.peek():
                raise cursor.malformed("something follows the array")
        self.bytes_read = self.size_bytes


class Lines:
    """One JSON object on each line (NDJSON, JSON Lines); blank lines do not count."""

    def __init__(self, path: Path, decoder: Decoder, start: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes - start
        self.bytes_read = 0
        self._path, self._decoder, self._start = path, decoder, start

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the object of each line."""
        self.bytes_read = 0
        with self._path.open("rb") as file:
            file.seek(self._start)
            number = 0
            while line := file.readline(MAXIMUM_DOCUMENT_BYTES + 1):
                number += 1
                self.bytes_read += len(line)
                if len(line) > MAXIMUM_DOCUMENT_BYTES:
                    raise StartupFailure(
                        f"{self._path} has more than 16 MB on line {number}, which is the most that MongoDB "
                        f"stores in a document: split it into several."
                    )
                text = line.decode().strip(" \t\r\n")
                if text:
                    yield self._document(text, number)

    def _document(self, text: str, number: int) -> dict[str, Any]:
        try:
            value, end = self._decoder.decode(text)
        except json.JSONDecodeError as error:
            raise malformed(self._path, error.msg, Position(line=number, column=error.pos + 1)) from None
        except Refused as error:
            where = (
                f"line {number}" if error.position is None else f"line {number}, column {error.position + 1}"
            )
            raise refused(self._path, error, where) from None
        if end < len(text):
            raise malformed(self._path, "something follows the object", Position(line=number, column=end + 1))
        if not isinstance(value, dict):
            raise StartupFailure(
                f"{self._path} holds {word_for(text)} on line {number}: "
                f"give one object on each line, or one array of objects."
            )
        return value


class Single:
    """One object that is a collection of its own, as json-server's singular resources are."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.size_bytes = self.bytes_read = 1
        self._document = document

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the one document."""
        yield dict(self._document)


def word_for(text: str) -> str:
    """Say what kind of JSON value begins with this text.

    >>> word_for("[1]"), word_for("-1")
    ('an array', 'a number')
    """
    return "a number" if text[:1] in _NUMBERS else _WORDS.get(text[:1], "something else")


def elements(cursor: Cursor, path: Path, member: str | None = None) -> Iterator[dict[str, Any]]:
    """Read the array of objects that begins at the cursor, up to and with its closing bracket."""
    cursor.take("[")
    if cursor.peek() == "]":
        cursor.take("]")
        return
    index = 0
    while True:
        mark = cursor.peek()
        value = cursor.value() if mark == "{" else None
        if not isinstance(value, dict):
            raise _not_an_object(cursor, path, member, index, mark)
        yield value
        index += 1
        is_last = cursor.peek() == "]"
        cursor.take("]" if is_last else ",]")
        if is_last:
            return


def _not_an_object(cursor: Cursor, path: Path, member: str | None, index: int, mark: str) -> StartupFailure:
    if mark not in _WORDS and mark not in _NUMBERS:
        return cursor.malformed("expecting an object")
    array = f"the array `{member}` of {path}" if member is not None else f"{path}"
    position = cursor.position()
    where = f"at index {index} (line {position.line}, column {position.column})"
    return StartupFailure(f"{array} holds {word_for(mark)} {where}: every one must be an object.")


class Part(NamedTuple):
    """A member of an object of arrays: its name and what becomes a collection."""

    name: str
    passage: Passage
    names: MemberNames
    decoder: Decoder
    is_single: bool


def parts(path: Path, start: int) -> Iterator[Part]:
    """Read an object whose members are arrays of objects, or single objects beside them, as db.json's are.

    Raises StartupFailure for any other object, saying which member is none of these.
    """
    seen: set[str] = set()
    names = MemberNames()
    outer = Decoder(names)
    with path.open("rb") as file:
        cursor = Cursor(path, file, outer, Position(byte=start))
        cursor.take("{")
        is_last = cursor.peek() == "}"
        while not is_last:
            if cursor.peek() != '"':
                raise cursor.malformed("expecting a member's name in double quotes")
            name = cursor.value()
            if name in seen:
                raise cursor.refusal(Refused(f"the member {json.dumps(name[:80])} appears twice"))
            seen.add(name)
            if len(seen) > MAXIMUM_COLLECTIONS:
                raise _unlike(path, f"one object with more than {MAXIMUM_COLLECTIONS} members")
            cursor.take(":")
            yield _part(path, cursor, name)
            is_last = cursor.peek() == "}"
            cursor.take("}" if is_last else ",}")
        if not seen:
            cursor.take("}")
        if cursor.peek():
            raise cursor.malformed("something follows the object")


def _part(path: Path, cursor: Cursor, name: str) -> Part:
    names = MemberNames()
    decoder = Decoder(names)
    mark = cursor.peek()
    if mark == "[":
        position = cursor.position()
        for _ in elements(cursor, path, name):
            pass
        return Part(name, Array(path, decoder, position, cursor.position().byte, name), names, decoder, False)
    if mark == "{":
        position = cursor.position()
        with path.open("rb") as file:
            document = Cursor(path, file, decoder, position).value()
        cursor.value()
        if isinstance(document, dict):
            return Part(name, Single(document), names, decoder, True)
    if mark not in _WORDS and mark not in _NUMBERS:
        raise cursor.malformed("expecting a value")
    if mark == '"' and name == "type" and cursor.value() == "FeatureCollection":
        raise StartupFailure(
            f"{path} is GeoJSON, one object around its documents: "
            f"save the array in `features` as a file of its own."
        )
    raise _unlike(path, f"one object whose `{name}` is {word_for(mark)}")


def _unlike(path: Path, what: str) -> StartupFailure:
    return StartupFailure(
        f"{path} is {what}: give an array of objects, or an object whose members are arrays of objects."
    )
