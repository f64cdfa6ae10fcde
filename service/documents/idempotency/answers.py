"""Answers as they are remembered, and which are."""

from dataclasses import dataclass, replace
from typing import Any, Self

from models.remembered_answer import RememberedAnswer
from service.kit.errors import CollectionChanged, Contention, Failure, IdempotencyRunning

ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
"""How large a body is remembered; a MongoDB document has at most 16 MB."""

KEPT_STATUSES = frozenset({400, 404, 405, 409, 412, 413, 415, 422, 428})
"""Failures that a repeat of the request would meet again.

All others are transient: the client signs in (401), is given the right (403), waits (408, 429), or we
recover (5xx). Then a repeat is done as if it were the first.
"""

TRANSIENT_CONFLICTS = (CollectionChanged, Contention, IdempotencyRunning)
"""Failures that are transient in spite of their status."""

OK, NO_CONTENT = 200, 204


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered; `headers` are those that its handler set."""

    status: int
    media_type: str
    headers: dict[str, str]
    body: bytes
    is_replayed: bool = False

    def remembered(self) -> "Answer":
        """Return the answer as repeats get it: a very large one without its body, as `return=minimal` has it.

        >>> Answer(200, "application/json", {"ETag": '"2"'}, b"x" * (ANSWER_LIMIT_BYTES + 1)).remembered()
        ... # doctest: +NORMALIZE_WHITESPACE
        Answer(status=204, media_type='application/json',
               headers={'ETag': '"2"', 'Preference-Applied': 'return=minimal'}, body=b'', is_replayed=False)
        """
        if len(self.body) <= ANSWER_LIMIT_BYTES:
            return self
        status = NO_CONTENT if self.status == OK else self.status
        headers = {**self.headers, "Preference-Applied": "return=minimal"}  # RFC 7240, 4.2
        return replace(self, status=status, headers=headers, body=b"")

    def stored(self) -> dict[str, Any]:
        """Return the fields in which it is stored."""
        return {
            "status": self.status,
            "media_type": self.media_type,
            "headers": self.headers,
            "body": self.body,
        }

    @classmethod
    def replayed(cls, stored: RememberedAnswer) -> Self:
        """Read what `stored` gave."""
        members = stored.model_dump(include={"status", "media_type", "headers", "body"})
        return cls(**members, is_replayed=True)


def is_transient(failure: Failure) -> bool:
    """Return whether a repeat of the same request can succeed.

    >>> is_transient(Contention())
    True
    """
    return failure.status not in KEPT_STATUSES or isinstance(failure, TRANSIENT_CONFLICTS)
