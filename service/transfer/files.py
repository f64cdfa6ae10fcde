"""What a file is before its documents are read: readable UTF-8 text of a format that Sheaf knows."""

import codecs
from pathlib import Path
from typing import Literal, NamedTuple

from service.kit.errors import StartupFailure
from service.transfer.cursor import MAXIMUM_DOCUMENT_BYTES
from service.transfer.decoding import Decoder, Refused
from service.transfer.names import MemberNames

CHUNK_BYTES = 1024 * 1024
CSV_ENDINGS = frozenset({".csv", ".tsv", ".tab"})
LINES_ENDINGS = frozenset({".ndjson", ".jsonl"})
JSON_ENDINGS = frozenset({".json", ".geojson"})

_UTF8_BOM = codecs.BOM_UTF8
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"(\xb5/\xfd": "zstd"}
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Format = Literal["array", "object", "lines", "csv"]


class Text(NamedTuple):
    """A file that holds text: its format, its size, the bytes before its text (a byte order mark)."""

    format: Format
    size_bytes: int
    start: int


def examine(path: Path) -> Text:
    """Check that a file is UTF-8 text and find its format; raises StartupFailure in one sentence."""
    if path.is_dir():
        raise StartupFailure(f"{path} is a directory: name the files in it, for example {path}/*.json.")
    if not path.exists():
        raise StartupFailure(f"{path} does not exist: check the path.")
    if not path.is_file():
        raise StartupFailure(
            f"{path} is not a regular file, and it must be read more than once: save it first."
        )
    try:
        size_bytes, first = _check_encoding(path)
        if first is None:
            raise StartupFailure(f"{path} is empty: give a file with at least one document.")
        start = len(_UTF8_BOM) if _begins_with_bom(path) else 0
        return Text(_format(path, first, start), size_bytes, start)
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> StartupFailure:
    """Return the failure of a file that the system does not let us read."""
    return StartupFailure(f"{path} cannot be read ({error.strerror or error}): check its permissions.")


def _begins_with_bom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_UTF8_BOM)) == _UTF8_BOM


def _check_encoding(path: Path) -> tuple[int, str | None]:
    """Return the size in bytes and the first character that is not blank."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    size_bytes, first = 0, None
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            if size_bytes == 0:
                _refuse_other_encodings(path, chunk)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                byte = size_bytes - pending + error.start
                raise StartupFailure(
                    f"{path} is not UTF-8 at byte {byte}: convert it to UTF-8 first."
                ) from None
            if first is None:
                first = text.lstrip("\ufeff \t\r\n")[:1] or None
            size_bytes += len(chunk)
            if not chunk:
                return size_bytes, first


def _refuse_other_encodings(path: Path, chunk: bytes) -> None:
    for mark, program in _PACKED.items():
        if chunk.startswith(mark):
            raise StartupFailure(f"{path} is compressed ({program}): unpack it first.")
    if chunk.startswith(_WIDE):
        raise StartupFailure(f"{path} is UTF-16, not UTF-8, from byte 0 on: convert it to UTF-8 first.")


def _format(path: Path, first: str, start: int) -> Format:
    ending = path.suffix.lower()
    if ending in CSV_ENDINGS:
        return "csv"
    if first == "[":
        return "array"
    if ending in LINES_ENDINGS or (first == "{" and _has_object_on_first_line(path, start)):
        return "lines"
    if first == "{":
        return "object"
    if ending in JSON_ENDINGS:
        raise StartupFailure(
            f"{path} begins with `{first}`, which begins neither an array nor an object: "
            f"give an array of objects."
        )
    raise StartupFailure(
        f"{path} is not a kind of file that Sheaf reads: give .json, .ndjson, .jsonl, .csv or .tsv."
    )


def _has_object_on_first_line(path: Path, start: int) -> bool:
    """Return whether the first line is a whole object and more follows, as in NDJSON with any ending."""
    with path.open("rb") as file:
        file.seek(start)
        line = b""
        while not line.strip():
            line = file.readline(MAXIMUM_DOCUMENT_BYTES)
        try:
            text = line.decode().strip()
            _, end = Decoder(MemberNames()).decode(text)
        except (Refused, ValueError):
            return False
        return end == len(text) and any(rest.strip() for rest in iter(file.readline, b""))
