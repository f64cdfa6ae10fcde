"""Files as sources of documents: each source becomes one collection."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from service.collections.names import RESERVED
from service.kit.errors import StartupFailure
from service.transfer import files
from service.transfer.csv_files import Rows
from service.transfer.cursor import Place
from service.transfer.decoding import Decoder
from service.transfer.ids import IdSurvey, IdType
from service.transfer.json_files import Array, Lines, Passage, parts
from service.transfer.names import MemberNames, collection_name


class Source:
    """The documents of one future collection, read from the file as often as `documents` is called.

    `count` is how many there are, `id_type` the type of the ids they bring in `id` (None: they bring none),
    `renames` the members that have new names, `notes` sentences on what else is not as in the file.
    `bytes_read` of `size_bytes` tells how far the latest reading has come.
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
        """Tell how many bytes a reading goes through."""
        return self._passage.size_bytes

    @property
    def bytes_read(self) -> int:
        """Tell how many of them the latest reading has gone through."""
        return self._passage.bytes_read

    def documents(self) -> Iterator[dict[str, Any]]:
        """Give the documents in the file's order, `id` in them only where it is the document's id.

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
    """Read a whole file once and give its future collections, whose names are none of those taken.

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
            passage = Array(path, decoder, Place(byte=text.start), text.size_bytes)
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
