"""A shop that sells things, with queries, described by classes and then by stored definitions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import httpx
import pymongo
import pytest
from beanie import Document, PydanticObjectId
from pydantic import BaseModel, Field

from models import DOCUMENTS
from models.base import Stored
from service import schema as schemas
from tests.conftest import served

OF_MAKERS: dict[str, Any] = {"x-collection": "makers"}
HIDDEN: dict[str, Any] = {"writeOnly": True}


class Maker(Stored, Document):
    name: str
    country: str | None = None
    founded: date | None = None
    password: str | None = Field(default=None, json_schema_extra=HIDDEN)

    rules: ClassVar[dict[str, Any]] = {"get": ["owner", "role:buyer"], "list": "user", "create": "user"}

    class Settings:
        name = "makers"


class Line(BaseModel):
    product: str
    count: int
    code: str | None = Field(default=None, json_schema_extra=HIDDEN)


class Address(BaseModel):
    city: str | None = None
    door: str | None = Field(default=None, json_schema_extra=HIDDEN)


class Sale(Stored, Document):
    """Whoever signs in sells; only the seller, and buyers, see a sale."""

    name: str
    category: str | None = None
    price: float
    parts: int | None = None
    is_paid: bool = False
    tags: list[str] = Field(default_factory=list)
    lines: list[Line] = Field(default_factory=list)
    address: Address | None = None
    day: date | None = None
    sold_at: datetime | None = None
    amount: Decimal | None = None
    big: Annotated[int | None, Field(json_schema_extra={"format": "int64"})] = None
    secret: str | None = Field(default=None, json_schema_extra=HIDDEN)
    maker: PydanticObjectId | None = Field(default=None, json_schema_extra=OF_MAKERS)
    makers: list[Annotated[str, Field(json_schema_extra=OF_MAKERS)]] = Field(default_factory=list)

    rules: ClassVar[dict[str, Any]] = {"read": ["owner", "role:buyer"], "create": "user"}

    class Settings:
        name = "sales"


@dataclass(frozen=True, slots=True)
class ShopService:
    """A running service with the shop's collections, and the ids of its documents by their names."""

    client: httpx.AsyncClient
    database: "pymongo.database.Database[dict[str, Any]]"
    people: dict[str | None, dict[str, str]]
    ids: dict[str, str]

    async def make(self, path: str, body: dict[str, Any], who: str = "ann") -> dict[str, Any]:
        answer = await self.client.post(f"/api/{path}", json=body, headers=self.people[who])
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()["data"]
        return created

    async def ask(self, name: str, who: str | None = "ann", /, **parameters: str) -> httpx.Response:
        url = f"/api/sales/queries/{name}"
        return await self.client.get(url, params=parameters, headers=self.people[who])

    async def run(self, name: str, who: str | None = "ann", /, **parameters: str) -> Any:
        answer = await self.ask(name, who, **parameters)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"data"}
        return answer.json()["data"]

    async def save(self, member: str, value: Any) -> httpx.Response:
        """Change one member of the definition of the sales, which a stored definition describes then."""
        body = {member: value}
        return await self.client.patch("/api/collections/sales", json=body, headers=self.people["admin"])


@asynccontextmanager
async def open_shop(
    mongodb_uri: str, queries: dict[str, Any], *, is_code_first: bool
) -> AsyncIterator[ShopService]:
    """Start a service with the shop, whose collections classes describe, or stored definitions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sale, "queries", queries)
        documents = (*DOCUMENTS, Maker, Sale) if is_code_first else DOCUMENTS
        patch.setattr("service.app.services.DOCUMENTS", documents)
        async with served(mongodb_uri) as service:
            people = {
                None: {},
                "ann": service.signed_in(),
                "bob": service.signed_in(),
                "buyer": service.signed_in("buyer"),
                "admin": service.signed_in("admin"),
            }
            shop = ShopService(service.client, service.database, people, {})
            for model in () if is_code_first else (Maker, Sale):
                await shop.make("collections", _definition(model), "admin")
            await create_sample_documents(shop)
            yield shop


def _definition(model: Any) -> dict[str, Any]:
    schema = schemas.of_model(model)
    return {
        "name": model.Settings.name,
        "schema": schema,
        "rules": model.rules,
        "queries": model.queries,
    }


SALES: dict[str, dict[str, Any]] = {
    "desk": {
        "name": "Desk",
        "category": "office",
        "price": 100,
        "parts": 4,
        "is_paid": True,
        "tags": ["new", "wood"],
        "lines": [{"product": "leg", "count": 4, "code": "hidden-1"}, {"product": "top", "count": 1}],
        "address": {"city": "Bern", "door": "hidden-2"},
        "day": "2026-11-22",
        "sold_at": "2026-11-22T23:30:00Z",
        "amount": "12.50",
        "big": 9007199254740993,
        "secret": "hidden-3",
    },
    "lamp": {
        "name": "Lamp",
        "category": "office",
        "price": 20,
        "parts": 0,
        "tags": ["new"],
        "address": {"city": "Basel"},
        "day": "2026-12-01",
        "sold_at": "2026-12-01T08:00:00Z",
        "amount": "0.25",
        "secret": "hidden-4",
    },
    "mug": {"name": "Mug", "category": "kitchen", "price": 10, "is_paid": True},
    "thing": {"name": "Thing", "price": 5.5},
}
"""Ann sells all of these but the mug, which is Bob's."""


async def create_sample_documents(shop: ShopService) -> None:
    acme = {"name": "Acme", "country": "CH", "founded": "1999-02-03", "password": "hidden-5"}
    shop.ids["acme"] = (await shop.make("makers", acme))["id"]
    shop.ids["bobs"] = (await shop.make("makers", {"name": "Bobs", "country": "DE"}, "bob"))["id"]
    references: dict[str, dict[str, Any]] = {
        "desk": {"maker": shop.ids["acme"], "makers": [shop.ids["acme"], shop.ids["bobs"], "5" * 24]},
        "lamp": {"maker": shop.ids["bobs"]},
    }
    for name, sale in SALES.items():
        body: dict[str, Any] = {**sale, **references.get(name, {})}
        shop.ids[name] = (await shop.make("sales", body, "bob" if name == "mug" else "ann"))["id"]
