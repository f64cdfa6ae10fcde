"""Cursors of changes: a place in time, of one interest, as text that clients carry and cannot make."""

import hashlib
from typing import Any, NamedTuple

from bson import Timestamp

from service.changes.interests import Interest
from service.collections.registry import Collection
from service.kit.errors import ParameterInvalid, Violation
from service.query.cursors import LIST_BYTES, Cursors
from service.query.keyset import Place


class ChangePlace(NamedTuple):
    """Where somebody is: all up to `time` was told; while the snapshot lasts, its documents up to `after_id`.

    `definition` tells which one of the collection's that was, `rights` what the rule showed then.
    """

    time: Timestamp
    definition: str
    rights: bytes
    is_in_snapshot: bool = False
    after_id: Any = None


class ChangeCursors:
    """Writes and reads cursors of changes."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def write(
        self, interest: Interest, time: Timestamp, *, is_in_snapshot: bool = False, after_id: Any = None
    ) -> str | None:
        """Return the cursor of a place; None when the id is too long to carry."""
        values = (time, definition_of(interest.collection), interest.rights, is_in_snapshot, after_id)
        return self._cursors.write(interest.asks_for, Place(values))

    def read(self, interest: Interest, text: str, parameter: str) -> ChangePlace:
        """Return the place of a cursor; raises ParameterInvalid for one of another subscription."""
        try:
            place = self._cursors.read(interest.asks_for, text)
        except ParameterInvalid as failure:
            detail = failure.errors[0].detail
            hint = f"Leave `{parameter}` out to begin anew."
            violation = Violation(detail, "cursor", parameter=parameter, hint=hint)
            raise ParameterInvalid(detail, hint=hint, errors=[violation]) from None
        return ChangePlace(*(place.values or ()))


def definition_of(collection: Collection) -> str:
    """Name a definition of a collection: one that is created again under the same name is another one.

    Without what it names a cursor would be one of another query, and nobody told to begin anew.
    """
    return f"{collection.uid[:UID_CHARACTERS]}.{collection.version}"


UID_CHARACTERS = 16
"""Of a collection's uid, as many as tell it from others of the same name."""


def joint_id(parts: dict[str, bytes]) -> bytes:
    """Name several subscriptions together, by their keys."""
    joined = b"".join(key.encode() + b"\0" + part for key, part in sorted(parts.items()))
    return hashlib.sha256(joined).digest()[:LIST_BYTES]
