"""Names for what a file brings: its collections, and members whose own names Sheaf does not store."""

import re
import unicodedata
from collections.abc import Collection
from typing import Any

from service.collections.names import NAME, RESERVED
from service.schema.check import MAXIMUM_NAME_BYTES

MAXIMUM_NAME_CHARACTERS = 63
MAXIMUM_REMEMBERED = 10_000
SURELY_SHORT_CHARACTERS = 63
ROOM_FOR_NUMBER = 8

_OTHERS = re.compile(r"[^a-z0-9_]+")


def collection_name(text: str, taken: Collection[str] = ()) -> str:
    """Return the name of the collection for a file's stem or a member, one that is not taken or reserved.

    >>> collection_name("Émile's Films (2)"), collection_name("2024 sales"), collection_name("users")
    ('emile-s-films-2', 'data-2024-sales', 'my-users')
    >>> collection_name("films", taken={"films", "films-2"})
    'films-3'
    """
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = _OTHERS.sub("-", letters).strip("-_")
    if not NAME.fullmatch(name[:1]):
        name = f"data-{name}".rstrip("-")
    name = name[:MAXIMUM_NAME_CHARACTERS].rstrip("-_")
    if name in RESERVED:
        name = f"my-{name}"
    return _numbered(name, taken)


def _numbered(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        ending = f"-{number}"
        free = name[: MAXIMUM_NAME_CHARACTERS - len(ending)] + ending
    return free


def is_plain(name: str) -> bool:
    """Return whether a document's member may have this name (`schema.check.name_fault` says why not)."""
    if not name or name[0] in "_$" or "." in name or "\0" in name:
        return False
    return len(name) <= SURELY_SHORT_CHARACTERS or len(name.encode(errors="replace")) <= MAXIMUM_NAME_BYTES


def plain(name: str) -> str:
    """Return the nearest name that a document's member may have.

    >>> plain("a.b"), plain("_id"), plain("$ref"), plain("")
    ('a_b', 'id', 'ref', 'field')
    """
    text = name.replace("\0", "").replace(".", "_").lstrip("_$")
    short = text.encode(errors="replace")[: MAXIMUM_NAME_BYTES - ROOM_FOR_NUMBER]
    return short.decode(errors="ignore") or "field"


class MemberNames:
    """The new names of one source's members: `renames` is what a whole reading of the source has settled.

    A name has the same new name wherever it occurs, so that a field stays one field; two names that would
    meet in one object are told apart by a number.
    """

    def __init__(self) -> None:
        self.renames: dict[str, str] = {}
        self._known: set[str] = set()
        self._is_settled = False

    def settle(self) -> None:
        """End the first reading: the readings that follow change no name any more."""
        self._is_settled = True

    def are_plain(self, members: dict[str, Any]) -> bool:
        """Return whether all names of an object may stay."""
        if self._known.issuperset(members):
            return True
        if not all(is_plain(name) for name in members):
            return False
        if len(self._known) > MAXIMUM_REMEMBERED:
            self._known.clear()
        self._known.update(members)
        return True

    def apply(self, members: dict[str, Any]) -> dict[str, Any]:
        """Return an object with names that may be stored, its members in the same order."""
        if self.are_plain(members):
            return members
        taken = {name for name in members if is_plain(name)}
        renamed: dict[str, Any] = {}
        for name, value in members.items():
            stored = name if is_plain(name) else self._choose(name, taken)
            taken.add(stored)
            renamed[stored] = value
        return renamed

    def _choose(self, name: str, taken: set[str]) -> str:
        base = plain(name)
        chosen = self.renames.get(name, base)
        number = 1
        while chosen in taken:
            number += 1
            chosen = f"{base}_{number}"
        if not self._is_settled:
            self.renames[name] = chosen
        return chosen
