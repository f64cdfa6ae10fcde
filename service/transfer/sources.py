"""Files as sources of documents: each source becomes one collection."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from service.collections.names import RESERVED
from service.documents.ids import RESERVED as RESERVED_IDS
from service.kit.errors import StartupFailure
from service.query.kinds import MAXIMUM_SAFE_INTEGER
from service.transfer import files
from service.transfer.csv_files import Rows
from service.transfer.cursor import Position
from service.transfer.decoding import Decoder
from service.transfer.json_files import Array, Lines, Passage, parts
from service.transfer.names import MemberNames, collection_name

IdType = Literal["integer", "uuid", "objectid", "string"]

MAXIMUM_TEXT_ID_CHARACTERS = 200

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
_SET_ASIDE = ("source_id", *(f"source_id_{number}" for number in range(2, 10)))


class IdSurvey:
    """What is known of the member `id` once every document has been added."""

    def __init__(self) -> None:
        self.count = 0
        self._missing = 0
        self._has_member = False
        self._forms: set[str] = set()
        self._seen: set[int] = set()
        self._repeated: Any = None
        self._aside = set(_SET_ASIDE)

    def add(self, document: dict[str, Any]) -> None:
        """Take note of one document's `id`."""
        self.count += 1
        if not self._aside.isdisjoint(document):
            self._aside.difference_update(document)
        value = document.get("id")
        if value is None:
            self._missing += 1
            self._has_member |= "id" in document
            return
        self._has_member = True
        if self._repeated is None:
            self._forms.add(_form(value))
            mark = (
                value if type(value) is int else hash(value.lower() if isinstance(value, str) else str(value))
            )
            if mark in self._seen:
                self._repeated = value
                self._seen.clear()
            self._seen.add(mark)

    @property
    def id_type(self) -> IdType | None:
        """The type of the ids; None where the file's `id` cannot be the documents' id."""
        if self._missing or self._repeated is not None or not self._forms:
            return None
        forms = self._forms
        if len(forms) == 1:
            (form,) = forms
            return form if form in ("integer", "uuid", "objectid", "string") else None  # type: ignore[return-value]
        return "string" if forms <= {"uuid", "objectid", "string"} else None

    @property
    def aside(self) -> str | None:
        """The name under which the file's `id` is kept; None when there is none to keep."""
        if self.id_type is not None or not self._has_member:
            return None
        return min(self._aside, default="original_id")

    @property
    def reason(self) -> str:
        """Why the file's `id` cannot be the documents' id."""
        if self._missing:
            return f"{self._missing} of {self.count} documents have no `id`"
        if self._repeated is not None:
            return f"the `id` {json.dumps(self._repeated)[:80]} occurs more than once"
        if "other" in self._forms:
            return "some values of `id` cannot be in a URL"
        return "`id` is an integer in some documents and text in others"


def _form(value: Any) -> str:
    if type(value) is int:
        return "integer" if abs(value) <= MAXIMUM_SAFE_INTEGER else "other"
    if not isinstance(value, str):
        return "other"
    if _UUID.fullmatch(value):
        return "uuid"
    if _OBJECT_ID.fullmatch(value):
        return "objectid"
    is_short = 0 < len(value) <= MAXIMUM_TEXT_ID_CHARACTERS
    return (
        "string"
        if is_short and "/" not in value and value.isprintable() and value not in {".", "..", *RESERVED_IDS}
        else "other"
    )


class Source:
    """The documents of one future collection, read from the file as often as `documents` is called.

    `count` is how many there are, `id_type` the type of the ids they bring in `id` (None: they bring none),
    `renames` the members that have new names, `notes` sentences on what else is not as in the file.
    `bytes_read` of `size_bytes` says how far the latest reading has come.
    """

    def __init__(
        self, name: str, path: Path, passage: Passage, decoder: Decoder, notes: Iterable[str]
    ) -> None:
        self.name = name
        self.path = path
        self._passage = passage
        ids = IdSurvey()
        for document in passage.documents():
            ids.add(document)
        decoder.names.settle()
        self.count = ids.count
        self.id_type: IdType | None = ids.id_type
        self.renames: dict[str, str] = decoder.names.renames
        self.notes = (*notes, *_id_notes(ids), *_number_notes(decoder))
        self._aside = ids.aside

    @property
    def size_bytes(self) -> int:
        """How many bytes a reading goes through."""
        return self._passage.size_bytes

    @property
    def bytes_read(self) -> int:
        """How many of them the latest reading has gone through."""
        return self._passage.bytes_read

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the documents in the file's order, `id` in them only where it is the document's id.

        Raises StartupFailure when the file has changed since it was opened and is now at fault.
        """
        try:
            for document in self._passage.documents():
                yield document if self._aside is None else self._without_id(document, self._aside)
        except OSError as error:
            raise files.unreadable(self.path, error) from None
        except UnicodeDecodeError:
            raise StartupFailure(f"{self.path} has changed while it was read: start again.") from None

    def _without_id(self, document: dict[str, Any], aside: str) -> dict[str, Any]:
        return {aside if name == "id" else name: value for name, value in document.items()}


def open_sources(paths: Iterable[Path]) -> list[Source]:
    """Open several files; no two of their collections have the same name. Raises StartupFailure."""
    sources: list[Source] = []
    for path in paths:
        sources += open_source(path, {source.name for source in sources})
    return sources


def open_source(path: Path, taken: Collection[str] = ()) -> list[Source]:
    """Read a whole file once; returns its future collections, whose names are none of those taken.

    Raises StartupFailure, one sentence that names the file, for anything in it that cannot be imported: once
    this has returned, the whole file can be.
    """
    text = files.examine(path)
    try:
        if text.format == "object":
            return _open_object(path, text.start, taken)
        names = MemberNames()
        decoder = Decoder(names)
        name, notes = _named(path.stem, taken)
        passage: Passage
        if text.format == "csv":
            passage = rows = Rows(path, names, text.size_bytes)
            notes += _short_rows(rows)
        elif text.format == "lines":
            passage = Lines(path, decoder, text.start, text.size_bytes)
        else:
            passage = Array(path, decoder, Position(byte=text.start), text.size_bytes)
        source = Source(name, path, passage, decoder, notes)
    except OSError as error:
        raise files.unreadable(path, error) from None
    if not source.count:
        raise StartupFailure(f"{path} has no documents: give at least one, so that a schema can be inferred.")
    return [source]


def _open_object(path: Path, start: int, taken: Collection[str]) -> list[Source]:
    """Open an object of arrays: one source for each of its members."""
    sources: list[Source] = []
    has_array = False
    for part in parts(path, start):
        name, notes = _named(part.name, {*taken, *(source.name for source in sources)})
        if part.is_single:
            notes.append(f"`{part.name}` is one object: `{name}` is a collection of this one document.")
        has_array |= not part.is_single
        source = Source(name, path, part.passage, part.decoder, notes)
        if not source.count:
            source.notes += (f"`{name}` is empty: until it has a schema, it takes any document.",)
        sources.append(source)
    if not has_array:
        raise StartupFailure(
            f"{path} is one object without an array: "
            f"give an array of objects, or an object whose members are arrays of objects."
        )
    return sources


def _named(text: str, taken: Collection[str]) -> tuple[str, list[str]]:
    name = collection_name(text, taken)
    wished = collection_name(text)
    if wished.removeprefix("my-") in RESERVED and wished.startswith("my-"):
        return name, [
            f"`{wished.removeprefix('my-')}` is a word of the API itself: the collection is `{name}`."
        ]
    if name != wished:
        return name, [f"There is a collection `{wished}` already: this one is `{name}`."]
    return name, []


def _id_notes(ids: IdSurvey) -> Iterator[str]:
    if ids.aside is not None:
        yield f"The documents get new ids, and `id` is kept as `{ids.aside}`: {ids.reason}."


def _number_notes(decoder: Decoder) -> Iterator[str]:
    if decoder.doubled:
        yield f"Integers beyond 64 bits are stored as floating-point numbers: {decoder.doubled} of them."


def _short_rows(rows: Rows) -> list[str]:
    if not rows.short_rows:
        return []
    return [f"Rows with fewer cells than there are columns: {rows.short_rows}; what they lack is null."]
