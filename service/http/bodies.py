"""Bodies of answers as typed models: one model writes a body, and describes it in the contract.

Not for collections' documents, whose shape their schemas know.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from service.documents import encoding, lists, rendering

Version = Annotated[int, Field(serialization_alias="_version", ge=1)]
CreatedAt = Annotated[datetime, Field(serialization_alias="_created_at")]
UpdatedAt = Annotated[datetime, Field(serialization_alias="_updated_at")]
Count = Annotated[int, Field(ge=0)]


class ResponseBody(BaseModel):
    """The JSON of an answer, or a part of it, with exactly these members in this order.

    A member that has a default and is not given is absent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
