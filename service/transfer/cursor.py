"""Reading one JSON text value by value, with a bounded part of it in memory."""

import codecs
import json
import re
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from service.kit.errors import StartupFailure
from service.transfer.decoding import Decoder, Refused

CHUNK_BYTES = 256 * 1024
MAXIMUM_DOCUMENT_BYTES = 16 * 1024 * 1024
LONGEST_TOKEN_CHARACTERS = 16

_BLANK = re.compile(r"[ \t\r\n]*")


class Position(NamedTuple):
    """A position in a file: bytes before it, and its line and column, counted from one."""

    byte: int = 0
    line: int = 1
    column: int = 1


class Cursor:
    """A position in a UTF-8 file that moves from value to value; complaints name line and column.

    `bytes_read` is how much of the file has been in memory.
    """

    def __init__(self, path: Path, file: BinaryIO, decoder: Decoder, position: Position) -> None:
        self._path = path
        self._file = file
        self._decoder = decoder
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._start = position
        self._text = ""
        self._at = 0
        self._is_complete = False
        self.bytes_read = position.byte
        file.seek(position.byte)

    def position(self) -> Position:
        """Return where the cursor stands."""
        return self._position_of(self._at)

    def peek(self) -> str:
        """Skip blank space and return the next character without taking it; "" at the end."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._is_complete:
                return ""
            self._read_on()

    def take(self, expected: str) -> None:
        """Pass over one of the expected characters; raises StartupFailure when another comes."""
        found = self.peek()
        if not found or found not in expected:
            wanted = " or ".join(f"`{each}`" for each in expected)
            raise self.malformed(f"expecting {wanted}")
        self._at += 1

    def value(self) -> Any:
        """Read the object or string that begins here."""
        while True:
            try:
                value, self._at = self._decoder.decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._is_complete or not self._may_be_cut(error):
                    raise self.malformed(error.msg, error.pos) from None
            except Refused as error:
                raise self.refusal(error) from None
            else:
                return value
            if len(self._text) - self._at > MAXIMUM_DOCUMENT_BYTES:
                raise StartupFailure(
                    f"{self._path} has a document of more than 16 MB at line {self.position().line}, "
                    f"which is the most that MongoDB stores: split it into several."
                )
            self._read_on()

    def malformed(self, cause: str, index: int | None = None) -> StartupFailure:
        """Return the failure of text that is not JSON, here or at an index of the text in memory."""
        at = self._at if index is None else index
        if self._is_complete and at >= len(self._text):
            cause = "the file ends in the middle"
        return malformed(self._path, cause, self._position_of(at))

    def refusal(self, error: Refused) -> StartupFailure:
        """Return the failure of a value that Sheaf does not take."""
        position = self._position_of(self._at if error.position is None else error.position)
        where = f"line {position.line}, column {position.column}"
        if error.position is None:
            where = f"in the document that begins at {where}"
        return refused(self._path, error, where)

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        is_near_end = error.pos >= len(self._text) - LONGEST_TOKEN_CHARACTERS
        return is_near_end or error.msg.startswith("Unterminated string")

    def _read_on(self) -> None:
        left = len(self._text) - self._at
        chunk = self._file.read(max(CHUNK_BYTES, left))
        self._is_complete = not chunk
        self.bytes_read += len(chunk)
        self._start = self.position()
        self._text = self._text[self._at :] + self._utf8.decode(chunk, final=not chunk)
        self._at = 0

    def _position_of(self, index: int) -> Position:
        passed = self._text[:index]
        lines = passed.count("\n")
        column = index - passed.rfind("\n") if lines else self._start.column + index
        return Position(self._start.byte + len(passed.encode()), self._start.line + lines, column)


def malformed(path: Path, cause: str, position: Position) -> StartupFailure:
    """Return the failure of a file that is not JSON at that position."""
    cause = cause[:1].lower() + cause[1:]
    where = f"line {position.line}, column {position.column}"
    return StartupFailure(f"{path} is not valid JSON at {where} ({cause}): correct it there and start again.")


def refused(path: Path, error: Refused, where: str) -> StartupFailure:
    """Return the failure of a file with a value that Sheaf does not take."""
    return StartupFailure(f"{path}, {where}: {error.reason}; correct it there and start again.")
