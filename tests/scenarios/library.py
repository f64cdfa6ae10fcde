"""A library whose books refer to authors, and they to companies: classes for the tests of `expand`."""

from typing import Annotated, Any, ClassVar

from beanie import Document, PydanticObjectId
from pydantic import BaseModel, Field

from models.base import Stored

OF_AUTHORS: dict[str, Any] = {"x-collection": "authors"}
READ_BY_ANYONE: dict[str, Any] = {"read": "anyone", "write": "user"}

AuthorId = Annotated[str, Field(json_schema_extra=OF_AUTHORS)]


class Company(Stored, Document):
    id: int  # type: ignore[assignment]  # a collection may have ids of another type than Beanie's
    name: str
    account: str | None = Field(default=None, json_schema_extra={"writeOnly": True})

    rules: ClassVar[dict[str, Any]] = READ_BY_ANYONE

    class Settings:
        name = "companies"


class Author(Stored, Document):
    name: str
    bio: str | None = None
    password: str | None = Field(default=None, json_schema_extra={"writeOnly": True})
    company: int | None = Field(default=None, json_schema_extra={"x-collection": "companies"})
    mentor: PydanticObjectId | None = Field(default=None, json_schema_extra=OF_AUTHORS)
    favourite: str | None = Field(default=None, json_schema_extra={"x-collection": "books"})

    rules: ClassVar[dict[str, Any]] = READ_BY_ANYONE

    class Settings:
        name = "authors"


class Comment(BaseModel):
    text: str
    author: AuthorId | None = None


class Book(Stored, Document):
    title: str
    author: str | None = Field(default=None, json_schema_extra=OF_AUTHORS)
    editor: PydanticObjectId | None = Field(default=None, json_schema_extra=OF_AUTHORS)
    reviewers: list[AuthorId] = Field(default_factory=list)
    comments: list[Comment] = Field(default_factory=list)
    diary: str | None = Field(default=None, json_schema_extra={"x-collection": "diaries"})
    ledger: str | None = Field(default=None, json_schema_extra={"x-collection": "ledgers"})
    series: str | None = Field(default=None, json_schema_extra={"x-collection": "series"})
    informant: str | None = Field(default=None, json_schema_extra=OF_AUTHORS | {"writeOnly": True})

    rules: ClassVar[dict[str, Any]] = READ_BY_ANYONE

    class Settings:
        name = "books"


class Diary(Stored, Document):
    text: str

    rules: ClassVar[dict[str, Any]] = {"read": "owner", "create": "user"}

    class Settings:
        name = "diaries"


class Ledger(Stored, Document):
    total: int

    rules: ClassVar[dict[str, Any]] = {"read": "role:accountant", "create": "role:accountant"}

    class Settings:
        name = "ledgers"


MODELS: tuple[type[Document], ...] = (Company, Author, Book, Diary, Ledger)
