"""What is wrong with a request's parameters, or a query's members, collected so that all is told at once."""

from typing import NoReturn

from service.kit.errors import ParameterInvalid
from service.kit.pointers import escape
from service.kit.violations import Violations, shown

MAXIMUM_SUGGESTIONS = 3
_LONGEST_NAME = 200


class Problems:
    """The violations found so far in one request, whose parameters are those of a URL or members of a body.

    In a body, a parameter's name is the beginning of the pointer; the body as a whole has the empty name.
    """

    __slots__ = ("_found", "is_body", "suggest")

    def __init__(self, *, is_body: bool = False) -> None:
        self.is_body = is_body
        self._found = Violations(suggestions=MAXIMUM_SUGGESTIONS)
        self.suggest = self._found.suggest

    def add(
        self, detail: str, code: str, *, parameter: str, pointer: str | None = None, hint: str | None = None
    ) -> None:
        """Note one problem with a parameter, and within its JSON the RFC 6901 pointer."""
        if self.is_body:
            self._found.add(detail, code, (escape(parameter) if parameter else "") + (pointer or ""), hint)
        else:
            self._found.add(detail, code, pointer, hint, parameter=shown(parameter, _LONGEST_NAME))

    def stop(self, detail: str, code: str, *, parameter: str) -> NoReturn:
        """Refuse the request at once, for a problem after which reading on would only cost."""
        self.add(detail, code, parameter=parameter)
        raise self._found.failure(ParameterInvalid, self._several)

    def raise_if_any(self) -> None:
        """Raise ParameterInvalid with every violation found, if there is one."""
        self._found.raise_if_any(ParameterInvalid, self._several)

    @property
    def _several(self) -> str:
        return "parts of the query are invalid" if self.is_body else "parameters are invalid"
