"""The parameters of a URL's query, percent-decoded and in their order."""

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from service.kit.errors import RequestInvalid
from service.query.limits import MAXIMUM_PARAMETERS

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
