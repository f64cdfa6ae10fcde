"""What every failure is: a status, a stable code, data for its problem body."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from heapq import nlargest
from os.path import commonprefix
from typing import Any, ClassVar, Self

PROBLEM_MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://sheaf.dev/problems/"
MAXIMUM_VIOLATIONS = 100
MAXIMUM_COMPARED = 50
"""How many words an unknown one is compared with letter by letter, which takes long for long words."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field or parameter at fault: where (an RFC 6901 pointer, or a name), a code, a sentence.

    `id` is the document's whose field it is, where the request names none.
    """

    detail: str
    code: str
    pointer: str | None = None
    parameter: str | None = None
    hint: str | None = None
    id: str | int | None = None

    def as_json(self) -> dict[str, str | int]:
        """Return the entry of a problem body's `errors`, without what is not known."""
        pairs = (
            ("id", self.id),
            ("pointer", self.pointer),
            ("parameter", self.parameter),
            ("code", self.code),
            ("detail", self.detail),
            ("hint", self.hint),
        )
        return {name: value for name, value in pairs if value is not None}


class Failure(Exception):
    """An operational failure that the client is told of; `extra` members join the problem body."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str | None = None,
        *,
        hint: str | None = None,
        errors: Iterable[Violation] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        self.detail = detail or self.title
        self.hint = hint
        self.errors = tuple(errors)[:MAXIMUM_VIOLATIONS]
        self.headers = dict(headers or {})
        self.extra = extra
        super().__init__(self.detail)

    def below(self, pointer: str) -> Self:
        """Return this failure of a part of a body that stands at a pointer in the whole body.

        A failure that names no field names the part.

        >>> Absent = type("Absent", (Failure,), {"status": 404, "code": "x.absent", "title": "Not there"})
        >>> [each.pointer for each in Absent().below("/operations/3").errors]
        ['/operations/3']
        """
        whole = Violation(self.detail, self.code, pointer="", hint=self.hint)
        if self.errors and self.errors[0].pointer and self.detail.startswith(f"{self.errors[0].pointer}: "):
            self.detail = pointer + self.detail
        self.errors = tuple(
            replace(each, pointer=pointer + (each.pointer or "")) for each in self.errors or (whole,)
        )
        return self

    def problem(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """Return the RFC 9457 body for this failure at `instance` (the request's path)."""
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
        }
        if self.hint is not None:
            body["hint"] = self.hint
        if self.errors:
            body["errors"] = [error.as_json() for error in self.errors]
        return body | self.extra


class StartupFailure(Exception):
    """The service cannot start: one sentence that says what is wrong and what to do."""


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return "Did you mean `x`?" for the known word nearest to an unknown one, if any is near.

    >>> suggestion("prise", ["price", "name"])
    'Did you mean `price`?'
    >>> suggestion("zzz", ["price"]) is None
    True
    """
    candidates = list(known)
    if len(candidates) > MAXIMUM_COMPARED:
        candidates = nlargest(MAXIMUM_COMPARED, candidates, key=lambda each: _shared(word, each))
    near = get_close_matches(word, candidates, n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else None


def _shared(word: str, other: str) -> int:
    """Count the characters with which two words begin and end alike."""
    ends = ((word, other), (word[::-1], other[::-1]))
    return sum(len(commonprefix(pair)) for pair in ends)  # noqa: RUF071  # by characters, these are no paths


def catalogue() -> Iterator[type[Failure]]:
    """Yield every failure that a client can meet, in the order of the tree above."""

    def below(parent: type[Failure]) -> Iterator[type[Failure]]:
        for child in parent.__subclasses__():
            if "code" in vars(child):
                yield child
            yield from below(child)

    yield from below(Failure)
