"""The `Link` header (RFC 8288) of a list: the pages around one page."""

from litestar.utils import normalize_path

from service.documents.lists import Page
from service.http.requests import AnyRequest
from service.query.limits import MAXIMUM_SKIP

MAXIMUM_LINKED_BYTES = 2000
"""Queries up to this length, the cursor not counted, are repeated in the links to other pages."""

MAXIMUM_HEADER_BYTES = 7000
"""Proxies refuse headers of more than 8 KiB, all together."""


def around(request: AnyRequest, repeated: str, page: Page) -> dict[str, str]:
    """Return the header with the first page and those before and after, relative to the API's root.

    They are asked for as this page was, by number or by cursor; by cursor too where numbers end. No header
    at all for a query so long that proxies would refuse it.
    """
    if len(repeated) > MAXIMUM_LINKED_BYTES:
        return {}
    path = normalize_path(request.scope["path"])  # `//api/films` would name another host
    start = f"<{path}?{repeated}&" if repeated else f"<{path}?"
    places = {"first": ("page", "1"), "prev": _previous(page), "next": _following(page)}
    header = ", ".join(
        f'{start}{place[0]}={place[1]}>; rel="{relation}"'
        for relation, place in places.items()
        if place is not None
    )
    return {"Link": header} if len(header) <= MAXIMUM_HEADER_BYTES else {}


# Numbers, and cursors in base64url, need no encoding.


def _previous(page: Page) -> tuple[str, str] | None:
    if page.number is None:
        return None if page.previous is None else ("cursor", page.previous)
    return ("page", str(page.number - 1)) if page.number > 1 else None


def _following(page: Page) -> tuple[str, str] | None:
    if page.has_more and page.number is not None and page.number * page.limit <= MAXIMUM_SKIP:
        return "page", str(page.number + 1)
    return None if page.following is None else ("cursor", page.following)
