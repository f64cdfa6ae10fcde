"""Cursors of changes: a place in time, of one interest, as text that clients carry and cannot make."""

import hashlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from bson import Timestamp

from service.changes.interests import Interest
from service.collections.registry import Collection
from service.kit.errors import ParameterInvalid, Violation
from service.query.cursors import LIST_BYTES, Cursors
from service.query.keyset import Place

JOINT = hashlib.sha256(b"changes of several").digest()[:LIST_BYTES]
ASKED_BYTES = 6
STATE_BYTES = 3
MARK_BYTES = ASKED_BYTES + STATE_BYTES
"""What a joint cursor holds of each subscription: 100 of them have to fit into a header."""


class ChangePlace(NamedTuple):
    """Where somebody is: all up to `time` was told; while the snapshot lasts, its documents up to `after_id`.

    `definition` tells which one of the collection's that was, `rights` what the rule showed then.
    """

    time: Timestamp
    definition: str
    rights: bytes
    is_in_snapshot: bool = False
    after_id: Any = None


class JointPlace(NamedTuple):
    """Where a stream of several subscriptions is: all up to `time` was told of those that are marked.

    A mark is a digest of the subscription's name and of what it asks, and one of its state: of the version
    of the definition and of what the rule showed.
    """

    time: Timestamp
    marks: Mapping[bytes, bytes]

    def compared_with(self, mark: bytes) -> Literal["new", "same", "other"]:
        """Return what has become of a subscription whose mark now is this one."""
        known = self.marks.get(mark[:ASKED_BYTES])
        return "new" if known is None else "same" if known == mark[ASKED_BYTES:] else "other"


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
        return ChangePlace(*self._values(interest.asks_for, text, parameter))

    def place_at(self, interest: Interest, time: Timestamp) -> ChangePlace:
        """Return the place at which an interest was told all up to a time, as it is defined now."""
        return ChangePlace(time, definition_of(interest.collection), interest.rights)

    def mark(self, key: str, interest: Interest) -> bytes:
        """Return what a joint cursor holds of a subscription."""
        asked = blake2b(key.encode() + b"\0" + interest.asks_for, digest_size=ASKED_BYTES)
        state = interest.rights + definition_of(interest.collection).encode()
        return asked.digest() + blake2b(state, digest_size=STATE_BYTES).digest()

    def write_joint(self, time: Timestamp, marks: bytes) -> str | None:
        """Return the one cursor of several subscriptions; `marks` are those of all of them, joined."""
        return self._cursors.write(JOINT, Place((time, marks)))

    def read_joint(self, text: str, parameter: str) -> JointPlace:
        """Return the place of a joint cursor; raises ParameterInvalid."""
        time, marks = self._values(JOINT, text, parameter)
        parts = (marks[begin : begin + MARK_BYTES] for begin in range(0, len(marks), MARK_BYTES))
        return JointPlace(time, {part[:ASKED_BYTES]: part[ASKED_BYTES:] for part in parts})

    def _values(self, list_id: bytes, text: str, parameter: str) -> Sequence[Any]:
        try:
            return self._cursors.read(list_id, text).values or ()
        except ParameterInvalid as failure:
            detail = failure.errors[0].detail
            hint = f"Leave `{parameter}` out to begin anew."
            violation = Violation(detail, "cursor", parameter=parameter, hint=hint)
            raise ParameterInvalid(detail, hint=hint, errors=[violation]) from None


def definition_of(collection: Collection) -> str:
    """Name a definition of a collection: one that is created again under the same name is another one.

    Without what it names a cursor would be one of another query, and nobody told to begin anew.
    """
    return f"{collection.uid[:UID_CHARACTERS]}.{collection.version}"


UID_CHARACTERS = 16
"""Of a collection's uid, as many as tell it from others of the same name."""
