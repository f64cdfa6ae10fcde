"""What clients asked and were told: all that is known of what should be stored."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Any


class Outcome(Enum):
    """What a client knows of what it asked for."""

    ACKNOWLEDGED = auto()
    REFUSED = auto()
    """The service says that it was not done."""
    UNKNOWN = auto()
    """Unavailable, or no answer: it may have been done or not."""


DOCUMENTED = {200, 201, 204, 404, 409, 412, 503}
"""The statuses that the traffic may meet; whether one fits is judged where it is met."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer; the status is None without one, times are of the monotonic clock."""

    kind: str
    began_s: float
    ended_s: float
    status: int | None
    has_retry_after: bool = False
    is_write: bool = False

    @property
    def is_error(self) -> bool:
        """Whether the service did not do its part, though it may say when to try again."""
        return self.status is None or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def is_done(self) -> bool:
        """Whether it was answered with success."""
        return self.status is not None and self.status < HTTPStatus.BAD_REQUEST

    @property
    def latency_s(self) -> float:
        """How long the client waited."""
        return self.ended_s - self.began_s


@dataclass(slots=True)
class Creation:
    """A document that somebody asked to be created, found again by its name; and perhaps to be deleted."""

    name: str
    content: dict[str, Any]
    outcome: Outcome
    tries: int = 1
    deletion: Outcome | None = None


@dataclass(slots=True)
class Tally:
    """Increments by 1 of one document's number, which was 0 at version 1."""

    acknowledged: int = 0
    unknown: int = 0
    versions: Counter[int] = field(default_factory=Counter)
    """How often each version was given to somebody as the outcome of their own increment."""


@dataclass(slots=True)
class Guarded:
    """Changes of one document, each on condition of the version that it was computed from."""

    acknowledged: dict[int, list[float]] = field(default_factory=dict)
    """The numbers that were set, by the version that the answer gave."""
    unknown: dict[int, list[float]] = field(default_factory=dict)
    """The numbers of which nobody knows whether they were set, by the version that would have come of it."""


@dataclass(slots=True)
class History:
    """Everything that the clients asked and were told, by the documents that it is about."""

    requests: list[Request] = field(default_factory=list)
    creations: dict[str, Creation] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    guarded: dict[str, Guarded] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """Of the documents that all clients change, by name."""
    contradictions: list[str] = field(default_factory=list)
    """What clients were told that cannot be, given what they had been told before."""

    def has_said(self, name: str) -> bool:
        """Return whether a client ever asked for a document of that name."""
        return name in self.creations or name in self.tallies or name in self.guarded


def outcome_of(status: int | None) -> Outcome:
    """Say what a client knows by an answer's status, None when there was no answer.

    >>> [outcome_of(status).name for status in (201, 409, 503, None)]
    ['ACKNOWLEDGED', 'REFUSED', 'UNKNOWN', 'UNKNOWN']
    """
    if status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.UNKNOWN
    return Outcome.ACKNOWLEDGED if status < HTTPStatus.BAD_REQUEST else Outcome.REFUSED
