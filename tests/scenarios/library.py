"""A library whose books refer to authors, and they to companies, for the tests of `expand`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import httpx
import pymongo
import pytest
from beanie import Document, PydanticObjectId
from bson import ObjectId
from litestar import Litestar
from pydantic import BaseModel, Field

from models import DOCUMENTS
from models.base import Stored
from service import schema as schemas
from tests.conftest import served

ABSENT = "5" * 24

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


@dataclass(frozen=True, slots=True)
class LibraryService:
    """A running service with the library's collections and some documents, by their names."""

    app: Litestar
    client: httpx.AsyncClient
    database: "pymongo.database.Database[dict[str, Any]]"
    people: dict[str | None, dict[str, str]]
    documents: dict[str, dict[str, Any]]

    async def make(self, path: str, body: dict[str, Any], who: str = "ann") -> dict[str, Any]:
        answer = await self.client.post(f"/api/{path}", json=body, headers=self.people[who])
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()["data"]
        return created

    async def get(self, path: str, who: str | None = None, **parameters: str) -> Any:
        answer = await self.client.get(f"/api/{path}", params=parameters, headers=self.people[who])
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def refusal(self, path: str, who: str | None = None, **parameters: str) -> tuple[int, Any]:
        answer = await self.client.get(f"/api/{path}", params=parameters, headers=self.people[who])
        problem = answer.json()
        told = [(each["code"], each["detail"], each.get("hint")) for each in problem.get("errors", ())]
        assert all(each["parameter"] in parameters for each in problem.get("errors", ()))
        return answer.status_code, told


@asynccontextmanager
async def open_library(mongodb_uri: str, *, is_code_first: bool) -> AsyncIterator[LibraryService]:
    """Start a service with the library, whose collections classes describe, or stored definitions."""
    with pytest.MonkeyPatch.context() as patch:
        documents = (*DOCUMENTS, *MODELS) if is_code_first else DOCUMENTS
        patch.setattr("service.app.services.DOCUMENTS", documents)
        async with served(mongodb_uri) as service:
            people = {
                None: {},
                "ann": service.signed_in(),
                "bob": service.signed_in(),
                "accountant": service.signed_in("accountant"),
                "admin": service.signed_in("admin"),
            }
            library = LibraryService(service.app, service.client, service.database, people, {})
            for model in () if is_code_first else MODELS:
                await library.make("collections", _definition(model), "admin")
            await create_sample_documents(library)
            yield library


def _definition(model: Any) -> dict[str, Any]:
    name = model.Settings.name
    options = {"id_type": "integer"} if name == "companies" else {}
    return {"name": name, "schema": schemas.of_model(model), "rules": model.rules, "options": options}


async def create_sample_documents(library: LibraryService) -> None:
    """Make a company, two authors of whom one mentors the other, and a book with all kinds of references."""
    named = library.documents
    named["press"] = await library.make("companies", {"id": 7, "name": "Press", "account": "hidden-1"})
    old = {"name": "Old", "password": "hidden-2", "company": 7}
    named["old"] = await library.make("authors", old)
    young = {"name": "Young", "mentor": named["old"]["id"], "company": 8}
    named["young"] = await library.make("authors", young)
    named["diary"] = await library.make("diaries", {"text": "Dear diary"})
    named["ledger"] = await library.make("ledgers", {"total": 3}, "accountant")
    book = {
        "title": "Book",
        "author": named["young"]["id"],
        "editor": named["old"]["id"],
        "reviewers": [named["old"]["id"], ABSENT, named["young"]["id"], named["old"]["id"], "nobody"],
        "comments": [
            {"text": "Good", "author": named["old"]["id"]},
            {"text": "Bad", "author": ABSENT},
            {"text": "Hm"},
        ],
        "diary": named["diary"]["id"],
        "ledger": named["ledger"]["id"],
        "series": "s",
        "informant": named["old"]["id"],
    }
    named["book"] = await library.make("books", book)
    named["draft"] = await library.make("books", {"title": "Draft", "author": named["young"]["id"]})
    circle = {"$set": {"favourite": named["book"]["id"]}}
    library.database["authors"].update_one({"_id": ObjectId(named["old"]["id"])}, circle)
    named["old"] = await library.get(f"authors/{named['old']['id']}")
