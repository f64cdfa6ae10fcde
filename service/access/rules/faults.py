"""What is wrong with rules, collected so that all is told at once."""

from collections.abc import Iterable

from service.kit.errors import Violation, suggestion
from service.kit.pointers import escape
from service.query.problems import shown

MAXIMUM_SUGGESTIONS = 10


class Faults:
    """The violations found so far, each with its pointer in the definition."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._suggestions = 0

    def add(self, detail: str, code: str, pointer: str, hint: str | None = None) -> None:
        """Note one."""
        self.violations.append(Violation(detail, code, pointer, hint=hint))

    def suggest(self, word: str, known: Iterable[str]) -> str | None:
        """Return "Did you mean …?" for the first few unknown words; finding a near word is not cheap."""
        if self._suggestions == MAXIMUM_SUGGESTIONS:
            return None
        self._suggestions += 1
        return suggestion(word[:64], known)


def at(pointer: str, name: str) -> str:
    """Return the pointer of a member (RFC 6901), whose name is shortened when it is long."""
    return pointer + escape(shown(name))
