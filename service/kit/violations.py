"""What is wrong with what was sent, collected so that all of it is reported at once."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from service.kit.errors import MAXIMUM_VIOLATIONS, DocumentInvalid, Failure, Malformed, Violation, suggestion
from service.kit.json_values import escape_pointer

MAXIMUM_SUGGESTIONS = 10
MAXIMUM_WORD_CHARACTERS = 64
MAXIMUM_POINTER_CHARACTERS = 300

Part = TypeVar("Part")


class Violations:
    """The violations found so far, each once: all are counted, and MAXIMUM_VIOLATIONS of them kept."""

    __slots__ = ("_count", "_found", "_suggestions")

    def __init__(self, *, suggestions: int = MAXIMUM_SUGGESTIONS) -> None:
        self._found: dict[Violation, None] = {}
        self._count = 0
        self._suggestions = suggestions

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Violation]:
        return iter(self._found)

    def add(
        self,
        detail: str,
        code: str,
        pointer: str | None = None,
        hint: str | None = None,
        *,
        parameter: str | None = None,
    ) -> None:
        """Add one violation."""
        if pointer is not None:
            pointer = shown(pointer, MAXIMUM_POINTER_CHARACTERS)
        self.extend([Violation(detail, code, pointer, parameter, hint)])

    def extend(self, found: Iterable[Violation]) -> None:
        """Add violations; from a generator no more than are kept."""
        for each in found:
            if each in self._found:
                continue
            self._count += 1
            if len(self._found) < MAXIMUM_VIOLATIONS:
                self._found[each] = None
            elif isinstance(found, Iterator):
                return

    def suggest(self, word: str, known: Iterable[str]) -> str | None:
        """Return "Did you mean …?" for the first few unknown words; finding a near word is not cheap."""
        if self._suggestions == 0 or len(word) > MAXIMUM_WORD_CHARACTERS:
            return None
        self._suggestions -= 1
        return suggestion(word, known)

    def unknown_members(self, value: Iterable[str], known: Iterable[str], pointer: str, what: str) -> bool:
        """Add each name that is not known; returns whether there was one."""
        known = tuple(known)
        unknown = [name for name in value if name not in known]
        for name in unknown:
            hint = self.suggest(name, known)
            self.add(f"`{shown(name)}` is not {what}", "unknown", at(pointer, name), hint)
        return bool(unknown)

    def members(self, value: object, known: Iterable[str], pointer: str, what: str) -> bool:
        """Return whether a value is an object of known members; add what speaks against it."""
        if isinstance(value, dict):
            return not self.unknown_members(value, known, pointer, f"a member of {what}")
        self.add(f"{what} is not an object", "type", pointer)
        return False

    def read(self, part: Callable[[], Part], pointer: str = "") -> Part | None:
        """Return what a part is read as; None when it raises Malformed, whose violations are added then."""
        try:
            return part()
        except Malformed as failure:
            whole = Violation(failure.detail, failure.code)
            for each in failure.errors or (whole,):
                self.add(each.detail, each.code, pointer + (each.pointer or ""), each.hint)
        return None

    def failure(self, kind: type[Failure], several: str | None = None) -> Failure:
        """Return the failure that reports all violations, of which there is one at least.

        It says what the only one says; of several, their number and `several`, or what the first one says.
        """
        first = next(iter(self._found))
        if several is None:
            return kind(first.detail, errors=self._found)
        if self._count > 1:
            return kind(f"{self._count} {several}", errors=self._found)
        return kind(first.detail, hint=first.hint, errors=self._found)

    def raise_if_any(self, kind: type[Failure], several: str | None = None) -> None:
        """Raise the failure that reports all violations, if there is one."""
        if self._found:
            raise self.failure(kind, several)


def invalid(count: int, what: str = "field") -> str:
    """Return the sentence that counts what is invalid.

    >>> invalid(1), invalid(2, "query parameter")
    ('1 field is invalid', '2 query parameters are invalid')
    """
    return f"1 {what} is invalid" if count == 1 else f"{count} {what}s are invalid"


def field_invalid(detail: str, code: str, pointer: str, hint: str | None = None) -> DocumentInvalid:
    """Return the failure of a form of which one field is wrong."""
    return DocumentInvalid(invalid(1), errors=[Violation(detail, code, pointer, hint=hint)])


def at(pointer: str, name: str) -> str:
    """Return the pointer of a member, whose name is shortened when it is long."""
    return pointer + escape_pointer(shown(name))


def shown(text: str, longest: int = MAXIMUM_WORD_CHARACTERS) -> str:
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
