"""Documents in CSV files: a header, then one document per row, each column of one type."""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from service.kit.errors import StartupFailure
from service.transfer.names import MemberNames

DELIMITERS = ",;\t|"
SAMPLE_CHARACTERS = 64 * 1024
SAMPLE_ROWS = 50
MAXIMUM_CELL_CHARACTERS = 16 * 1024 * 1024
MAXIMUM_INTEGER_CHARACTERS = 18
ROWS_PER_REPORT = 256
BLANKS = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})
"""Cells that say "no value" among numbers or booleans; among text only the empty cell does."""

ColumnType = Literal["integer", "number", "boolean", "string"]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-][0-9]{1,2})?")
_FRACTION_WITH_EXPONENT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+[eE][0-9]{1,2}")
_BOOLEANS = {"true": True, "false": False, "True": True, "False": False, "TRUE": True, "FALSE": False}


def cell_type(cell: str) -> ColumnType:
    """Return what a cell is by itself; a number with leading zeros is a name (a zip code), not a number.

    >>> [cell_type(each) for each in ("7", "-7.50", "1e-05", "TRUE", "00501", "12E5", "Jun 12 1998")]
    ['integer', 'number', 'number', 'boolean', 'string', 'string', 'string']
    """
    if _INTEGER.fullmatch(cell):
        return "integer" if len(cell) <= MAXIMUM_INTEGER_CHARACTERS else "string"
    if _NUMBER.fullmatch(cell) or _FRACTION_WITH_EXPONENT.fullmatch(cell):
        return "number"
    return "boolean" if cell in _BOOLEANS else "string"


class _Column:
    """A column: its stored name, and the type of the cells seen so far."""

    def __init__(self, name: str, is_named: bool) -> None:
        self.name = name
        self.is_named = is_named
        self.type: ColumnType | None = None
        self.is_empty = True

    def see(self, cell: str) -> bool:
        """Widen the type to what this cell needs; returns whether no other cell can widen it."""
        if cell:
            self.is_empty = False
        cell = cell.strip()
        if cell in BLANKS:
            return False
        found = cell_type(cell)
        if self.type is None or self.type == found:
            self.type = found
        elif {self.type, found} == {"integer", "number"}:
            self.type = "number"
        else:
            self.type = "string"
        return self.type == "string"

    def reader(self) -> Callable[[str], Any]:
        """Return the function that turns a cell into its value."""
        return _READERS[self.type or "string"]


def _read_text(cell: str) -> str | None:
    return cell or None


def _read_integer(cell: str) -> int | None:
    cell = cell.strip()
    return None if cell in BLANKS else int(cell)


def _read_number(cell: str) -> float | None:
    cell = cell.strip()
    return None if cell in BLANKS else float(cell)


def _read_boolean(cell: str) -> bool | None:
    cell = cell.strip()
    return None if cell in BLANKS else _BOOLEANS[cell]


_READERS: dict[ColumnType, Callable[[str], Any]] = {
    "string": _read_text,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
}


class Rows:
    """The rows of a CSV file; opening it reads all of them once to find the columns' types."""

    def __init__(self, path: Path, names: MemberNames, size_bytes: int) -> None:
        csv.field_size_limit(MAXIMUM_CELL_CHARACTERS)
        self.size_bytes = size_bytes
        self.bytes_read = 0
        self.short_rows = 0
        self._path = path
        self._delimiter = _delimiter(path)
        rows = self._rows()
        _, titles = next(rows)
        self._columns = _columns(path, titles, names)
        self._survey(rows)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a document: every column in every document, null where the cell is empty."""
        rows = self._rows()
        next(rows)
        width = len(self._columns)
        readers = [(index, column.name, column.reader()) for index, column in self._kept()]
        for _, row in rows:
            if len(row) < width:
                row.extend([""] * (width - len(row)))
            yield {name: read(row[index]) for index, name, read in readers}

    def _kept(self) -> Iterator[tuple[int, _Column]]:
        for index, column in enumerate(self._columns):
            if column.is_named or not column.is_empty:  # a comma at the end of each row is not a column
                yield index, column

    def _survey(self, rows: Iterator[tuple[int, list[str]]]) -> None:
        width = len(self._columns)
        undecided = list(enumerate(self._columns))
        for line, row in rows:
            if len(row) != width:
                self._check_width(row, line)
                row.extend([""] * (width - len(row)))
            has_decided = False
            for index, column in undecided:
                has_decided |= column.see(row[index])
            if has_decided:
                undecided = [(index, column) for index, column in undecided if column.type != "string"]

    def _check_width(self, row: list[str], line: int) -> None:
        width = len(self._columns)
        self.short_rows += len(row) < width
        if any(row[width:]):
            raise StartupFailure(
                f"{self._path} has {len(row)} cells on line {line}, but {width} columns: "
                f"put cells that contain the delimiter in double quotes."
            )

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        with self._path.open("rb") as binary:
            text = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
            reader = csv.reader(text, delimiter=self._delimiter, strict=True)
            try:
                for number, row in enumerate(reader):
                    if number % ROWS_PER_REPORT == 0:
                        self.bytes_read = binary.tell()
                    if row:
                        yield reader.line_num, row
            except csv.Error as error:
                raise StartupFailure(
                    f"{self._path} is not valid CSV on line {reader.line_num} ({error}): "
                    f"correct the double quotes there and start again."
                ) from None
        self.bytes_read = self.size_bytes


def _columns(path: Path, titles: list[str], names: MemberNames) -> list[_Column]:
    titles = [title.strip() for title in titles]
    for title in titles:
        if title and titles.count(title) > 1:
            raise StartupFailure(
                f"{path} has two columns called `{title}`: give every column a name of its own."
            )
    stored = {title: title for title in titles if title}
    stored = dict(zip(stored, names.apply(dict.fromkeys(stored)), strict=True))
    taken = set(stored.values())
    columns = []
    for title in titles:
        name = stored.get(title) or next(each for each in _unnamed() if each not in taken)
        taken.add(name)
        columns.append(_Column(name, is_named=bool(title)))
    return columns


def _unnamed() -> Iterator[str]:
    yield "field"
    yield from (f"field_{number}" for number in itertools.count(2))


def _delimiter(path: Path) -> str:
    """Choose the delimiter that cuts most of the first rows into as many cells as the first has."""
    with path.open(encoding="utf-8-sig", newline="") as text:
        sample = text.read(SAMPLE_CHARACTERS)

    def fit(delimiter: str) -> tuple[int, int]:
        rows = [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row]
        rows = rows[:SAMPLE_ROWS]
        width = len(rows[0])
        return (sum(len(row) == width for row in rows), width) if width > 1 else (0, 0)

    return max(DELIMITERS, key=fit)
