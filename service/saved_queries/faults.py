"""What is wrong with a definition's queries, collected so that all of it is told at once."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from service.kit.errors import DefinitionInvalid, ParameterInvalid, Violation, suggestion
from service.kit.pointers import escape
from service.query.problems import shown

_LONGEST_POINTER = 300

Read = TypeVar("Read")


class Faults:
    """The violations found so far, each with its RFC 6901 pointer into the definition."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def add(self, detail: str, code: str, pointer: str, hint: str | None = None) -> None:
        """Note one fault."""
        violation = Violation(detail, code, pointer=shown(pointer, _LONGEST_POINTER), hint=hint)
        if violation not in self.violations:
            self.violations.append(violation)

    def read(self, pointer: str, read: Callable[[], Read]) -> Read | None:
        """Return what a reader of the query language reads; note what it refuses, None then."""
        try:
            return read()
        except ParameterInvalid as failure:
            for each in failure.errors:
                self.add(each.detail, each.code, pointer + (each.pointer or ""), each.hint)
        except DefinitionInvalid as failure:
            for each in failure.errors:
                self.add(each.detail, each.code, pointer + (each.pointer or ""), each.hint)
        return None

    def members(self, value: object, known: Iterable[str], pointer: str, what: str) -> bool:
        """Return whether a value is an object of known members; note each that is not."""
        known = tuple(known)
        if not isinstance(value, dict):
            self.add(f"{what} is not an object", "type", pointer)
            return False
        unknown = [name for name in value if name not in known]
        for name in unknown:
            detail = f"`{shown(name)}` is not a member of {what}"
            self.add(detail, "unknown", pointer + escape(name), suggestion(name[:64], known))
        return not unknown

    def raise_if_any(self) -> None:
        """Raise DefinitionInvalid with every fault, if there is one."""
        if self.violations:
            raise DefinitionInvalid(self.violations[0].detail, errors=self.violations)
