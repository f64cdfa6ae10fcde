"""The parameters of a URL's query, percent-decoded and in their order, and what is wrong with them."""

from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import parse_qsl, urlencode

from service.kit.errors import ParameterInvalid, RequestInvalid
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations, shown
from service.query.limits import MAXIMUM_PARAMETERS

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
            self._found.add(
                detail, code, (escape_pointer(parameter) if parameter else "") + (pointer or ""), hint
            )
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


Parameters = list[tuple[str, str]]

PLACES = frozenset({"page", "cursor"})
"""The parameters that say which part of a list is meant."""


def read_parameters(query_string: bytes) -> Parameters:
    """Return the parameters of a query as it was sent; raises RequestInvalid.

    >>> read_parameters(b"filter%5Bname%5D=a+b&limit=3")
    [('filter[name]', 'a b'), ('limit', '3')]
    """
    if not query_string:
        return []
    try:
        text = query_string.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAXIMUM_PARAMETERS)
    except UnicodeDecodeError:
        raise RequestInvalid("The query string is not percent-encoded UTF-8") from None
    except ValueError:
        raise RequestInvalid(f"The query string has more than {MAXIMUM_PARAMETERS} parameters") from None


def repeated(parameters: Iterable[tuple[str, str]]) -> str:
    """Return, encoded again, what the URLs of all parts of a list have in common.

    >>> repeated([("filter[name]", "a b"), ("page", "3")])
    'filter%5Bname%5D=a+b'
    """
    return urlencode([(name, value) for name, value in parameters if name not in PLACES])
