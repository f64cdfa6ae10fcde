"""What a subscriber is told, and how it is written: as a server-sent event, and as JSON."""

from collections.abc import Hashable, Mapping
from typing import Any, Final, Literal, TypeAlias

from service.documents.encoding import dump

EventName: TypeAlias = Literal["put", "gone", "ready", "reset", "refused", "bye", "cursor", "ping", "pong"]
"""`cursor` is no event of its own: it only says from where a client may go on."""

WhyReset: TypeAlias = Literal["history", "definition", "rules", "overflow"]
WhyBye: TypeAlias = Literal["draining", "expired", "lifetime", "revoked"]


class Entry:
    """One thing that a subscriber is told.

    `members` are those of its JSON object, without braces. `cursor` says that everything up to this entry has
    been told; None where the client can only go on from an earlier one, and empty where it has to begin anew.
    `id` and `version` are the document's. Shared by all whom it concerns, so it is never changed.
    """

    __slots__ = ("_event", "cursor", "event", "id", "members", "version")

    def __init__(
        self,
        event: EventName,
        members: bytes = b"",
        cursor: str | None = None,
        *,
        id: Hashable = None,  # noqa: A002  # as documents call it
        version: Any = None,
    ) -> None:
        self.event: Final = event
        self.members: Final = members
        self.cursor: Final = cursor
        self.id: Final = id
        self.version: Final = version
        self._event: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """About how much of a client's queue it takes."""
        return len(self.members) + OVERHEAD_BYTES

    def as_event(self) -> bytes:
        """Return it as a server-sent event; written once."""
        if self._event is None:
            self._event = self.keyed_event(b"", self.cursor)
        return self._event

    def keyed_event(self, key: bytes, cursor: str | None) -> bytes:
        """Return it as an event of one of several subscriptions; `key` as `key_member` gives it."""
        place = b"" if cursor is None else b"id: %b\n" % cursor.encode()
        if self.event == "cursor":
            return place + b"\n" if place else b""
        members = key + self.members if self.members else key.removesuffix(b",")
        return b"event: %b\n%bdata: {%b}\n\n" % (self.event.encode(), place, members)

    def as_json(self, key: bytes = b"") -> bytes:
        """Return it as a JSON object; `key` as `key_member` gives it."""
        parts = [b'"event":"%b"' % self.event.encode()]
        if key:
            parts.append(key.removesuffix(b","))
        if self.members:
            parts.append(self.members)
        if self.cursor:
            parts.append(b'"cursor":"%b"' % self.cursor.encode())
        return b"{%b}" % b",".join(parts)


OVERHEAD_BYTES = 200
"""What an entry takes in a queue besides its text."""


def put(why: str, text: bytes, cursor: str | None, document_id: Hashable, version: Any) -> Entry:
    """Return the entry of a document as its subscribers see it; `text` is its JSON."""
    return Entry(
        "put", b'"why":"%b","data":%b' % (why.encode(), text), cursor, id=document_id, version=version
    )


def gone(why: str, cursor: str | None, document_id: Hashable, version: Any) -> Entry:
    """Return the entry of a document that is not among those subscribed to any more."""
    told: dict[str, Any] = {"why": why, "id": document_id}
    if version is not None:
        told["_version"] = version
    return Entry("gone", dump(told)[1:-1], cursor, id=document_id, version=version)


def ready(cursor: str) -> Entry:
    """Return the entry that says that all that was true when the subscription began has been told."""
    return Entry("ready", b"", cursor)


def reset(why: WhyReset) -> Entry:
    """Return the entry by which a client forgets what it has; it has no cursor to go on from."""
    return Entry("reset", b'"why":"%b"' % why.encode(), "")


def refused(problem: Mapping[str, Any], key: str | None = None) -> Entry:
    """Return the entry that says why something is not done (RFC 9457), for which subscription if for one."""
    return Entry("refused", b'%b"problem":%b' % (b"" if key is None else key_member(key), dump(problem)))


def bye(why: WhyBye, retry_ms: int) -> Entry:
    """Return the entry that ends a stream; the client comes back after `retry_ms`."""
    return Entry("bye", b'"why":"%b","retry_ms":%d' % (why.encode(), retry_ms))


def at(cursor: str) -> Entry:
    """Return what only says from where a client may go on."""
    return Entry("cursor", b"", cursor)


def key_member(key: str) -> bytes:
    """Return the member that names one of several subscriptions, with the comma after it.

    >>> key_member("a")
    b'"key":"a",'
    """
    return b'"key":%b,' % dump(key)
