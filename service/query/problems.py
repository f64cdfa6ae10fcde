"""What is wrong with a request's parameters, or a query's members, collected so that all is told at once."""

from collections.abc import Iterable
from typing import NoReturn

from service.kit.errors import ParameterInvalid, Violation, suggestion
from service.kit.pointers import escape

MAXIMUM_SUGGESTIONS = 3
_LONGEST_WORD = 64
_LONGEST_PLACE = 200


class Problems:
    """The violations found so far in one request, whose parameters are those of a URL or members of a body.

    In a body, a parameter's name is the beginning of the pointer; the body as a whole has the empty name.
    """

    __slots__ = ("_suggestions", "_violations", "is_body")

    def __init__(self, *, is_body: bool = False) -> None:
        self.is_body = is_body
        self._violations: list[Violation] = []
        self._suggestions = 0

    def add(
        self, detail: str, code: str, *, parameter: str, pointer: str | None = None, hint: str | None = None
    ) -> None:
        """Note one problem with a parameter, and within its JSON the RFC 6901 pointer."""
        named: str | None = shown(parameter, _LONGEST_PLACE)
        if self.is_body:
            named, pointer = None, (escape(parameter) if parameter else "") + (pointer or "")
        self._violations.append(
            Violation(
                detail=detail,
                code=code,
                parameter=named,
                pointer=None if pointer is None else shown(pointer, _LONGEST_PLACE),
                hint=hint,
            )
        )

    def stop(self, detail: str, code: str, *, parameter: str) -> NoReturn:
        """Refuse the request at once, for a problem after which reading on would only cost."""
        self.add(detail, code, parameter=parameter)
        raise self._failure()

    def suggest(self, word: str, known: Iterable[str]) -> str | None:
        """Return "Did you mean …?" for the first few unknown words; finding a near word is not cheap."""
        if self._suggestions == MAXIMUM_SUGGESTIONS or len(word) > _LONGEST_WORD:
            return None
        self._suggestions += 1
        return suggestion(word, known)

    def raise_if_any(self) -> None:
        """Raise ParameterInvalid with every violation found, if there is one."""
        if self._violations:
            raise self._failure()

    def _failure(self) -> ParameterInvalid:
        first, *others = self._violations
        if others:
            wrong = "parts of the query" if self.is_body else "parameters"
            return ParameterInvalid(f"{len(others) + 1} {wrong} are invalid", errors=self._violations)
        return ParameterInvalid(first.detail, hint=first.hint, errors=self._violations)


def shown(text: str, longest: int = _LONGEST_WORD) -> str:
    r"""Make a client's text fit to be repeated in a message: short, printable Unicode.

    >>> shown("a" * 70) == "a" * 64 + "…"
    True
    >>> shown("a\udc80\0")
    'a??'
    """
    short = text if len(text) <= longest else text[:longest] + "…"
    if short.isprintable():
        return short
    return "".join(letter if letter.isprintable() else "?" for letter in short)
