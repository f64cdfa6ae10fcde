"""Bodies of answers as typed models: one model writes a body, and describes it in the contract.

Not for collections' documents, whose shape their schemas know; but the links (RFC 8288) of all lists.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from litestar.utils import normalize_path
from pydantic import BaseModel, ConfigDict, Field

from service.documents import encoding, lists, rendering
from service.http.requests import AnyRequest
from service.query.limits import MAXIMUM_SKIP

Version = Annotated[int, Field(serialization_alias="_version", ge=1)]
CreatedAt = Annotated[datetime, Field(serialization_alias="_created_at")]
UpdatedAt = Annotated[datetime, Field(serialization_alias="_updated_at")]
Count = Annotated[int, Field(ge=0)]


class ResponseBody(BaseModel):
    """The JSON of an answer, or a part of it, with exactly these members in this order.

    A member that has a default and is not given is absent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of_stored(cls, stored: object, **own: Any) -> Self:
        """Return what is shown of something stored: its attributes of these names, but for those given."""
        names = [name for name in cls.model_fields if name not in own]
        return cls(**{name: getattr(stored, name) for name in names}, **own)

    def members(self) -> dict[str, Any]:
        """Return the members by their names in JSON."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def to_json(self) -> bytes:
        """Return the body as it is sent."""
        return encoding.dump(self.members())


Content = TypeVar("Content")


class Data(ResponseBody, Generic[Content]):
    """What most answers are: an object, or a list of them, in `data`."""

    data: Content

    @classmethod
    def of(cls, data: Content) -> "Data[Content]":
        """Return the body of an answer with this in `data`."""
        return Data(data=data)


class Message(ResponseBody):
    """What happens next."""

    message: str


class Page(ResponseBody, Generic[Content]):
    """One page of a list."""

    data: list[Content]
    page: Annotated[int, Field(ge=1)] = 1
    limit: Annotated[int, Field(ge=1)]
    has_more: bool
    next: str = ""
    prev: str = ""
    total: Count = 0
    count: str = ""

    @classmethod
    def of(cls, page: lists.Page, data: Iterable[Content]) -> Self:
        """Return the body for a page as it was read, whose documents are shown so."""
        return cls(data=list(data), **rendering.page_members(page))


MAXIMUM_LINKED_BYTES = 2000
"""Queries up to this length, the cursor not counted, are repeated in the links to other pages."""

MAXIMUM_HEADER_BYTES = 7000
"""Proxies refuse headers of more than 8 KiB, all together."""


def links_around(request: AnyRequest, repeated: str, page: lists.Page) -> dict[str, str]:
    """Return the `Link` header with the first page and those before and after, relative to the API's root.

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


def _previous(page: lists.Page) -> tuple[str, str] | None:
    if page.number is None:
        return None if page.previous is None else ("cursor", page.previous)
    return ("page", str(page.number - 1)) if page.number > 1 else None


def _following(page: lists.Page) -> tuple[str, str] | None:
    if page.has_more and page.number is not None and page.number * page.limit <= MAXIMUM_SKIP:
        return "page", str(page.number + 1)
    return None if page.following is None else ("cursor", page.following)
