"""`Prefer`: how much of an answer a client wants (RFC 7240)."""

from typing import Literal, TypeAlias, cast, get_args

from service.http.pipeline.headers import text_of
from service.http.requests import AnyRequest

Return: TypeAlias = Literal["minimal", "representation"]


def preferred_return(request: AnyRequest) -> Return | None:
    """Give what `Prefer: return=…` asks for; None when it is not there, or unknown, which is ignored (2)."""
    header = text_of(request.scope, b"prefer")
    return None if header is None else read_return(header)


def read_return(header: str) -> Return | None:
    """Read `return` among the preferences, whose first mention counts.

    >>> read_return('wait=10, RETURN="minimal"; x=1'), read_return("return=everything"), read_return("")
    ('minimal', None, None)
    """
    for preference in header.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            wanted = value.strip().strip('"').lower()
            return cast("Return", wanted) if wanted in get_args(Return) else None
    return None


def applied(wanted: Return | None) -> dict[str, str]:
    """Give the header that says which preference was followed."""
    return {} if wanted is None else {"Preference-Applied": f"return={wanted}"}
