"""A service under attack, started once for a module of attacks, for none of them may change anything."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import httpx
import pymongo
import pytest
import pytest_asyncio
from pymongo.errors import OperationFailure

from models import Product
from service import schema as schemas
from tests.conftest import GOODS_RULES, served

MUG: dict[str, Any] = {"name": "Mug", "price": 9.5, "category": "kitchen", "tags": ["blue"]}
VAULT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "secret": {"type": "string", "writeOnly": True},
        "parts": {
            "type": "array",
            "items": {"type": "object", "properties": {"key": {"type": "string", "writeOnly": True}}},
        },
    },
}
FREE: dict[str, Any] = {"type": "object"}
LETTERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "box": {"type": "string", "x-collection": "vault"},
        "diary": {"type": "string", "x-collection": "diaries"},
        "plan": {"type": "string", "x-collection": "plans"},
    },
}
RULES = {"read": "anyone", "write": "user"}


class Place(NamedTuple):
    """A collection under attack: its path, and Ann's mug in it."""

    path: str
    mug: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AttackedService:
    """What an attack needs: a client, who may do what, the collections, and what the database holds.

    Beside `places` there are `/api/free`, whose documents may have any form, `/api/vault`, with hidden
    fields, and `/api/letters`, which refer to it, to diaries that their owners read, and to plans that nobody
    reads but administrators.
    """

    client: httpx.AsyncClient
    database: "pymongo.database.Database[dict[str, Any]]"
    people: dict[str | None, dict[str, str]]
    places: dict[str, Place]

    def stored(self) -> dict[str, Any]:
        """Return a hash of the documents of each collection, and its indexes, without the service."""
        try:
            hashes = self.database.command("dbHash")["collections"]
            of_database: list[dict[str, Any]] = [{"$listCatalog": {}}, {"$match": {"db": self.database.name}}]
            catalog = list(self.database.client["admin"].aggregate(of_database))
        except OperationFailure:  # no MongoDB, but its substitute
            return self._read()
        indexes = {
            each["name"]: sorted((index["spec"] for index in each["md"]["indexes"]), key=itemgetter("name"))
            for each in catalog
            if each["type"] == "collection"
        }
        return {name: (hashes[name], indexes[name]) for name in hashes if name != "_rate_limits"}

    def _read(self) -> dict[str, Any]:
        names = sorted(set(self.database.list_collection_names()) - {"_rate_limits"})
        return {
            name: [*self.database[name].find().sort("_id"), self.database[name].index_information()]
            for name in names
        }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def attacked(mongodb_uri: str) -> AsyncIterator[AttackedService]:
    async with served(mongodb_uri) as service:
        ann, bob, admin = service.signed_in(), service.signed_in(), service.signed_in("admin")
        people = {None: {}, "ann": ann, "bob": bob, "admin": admin}
        attacked = AttackedService(service.client, service.database, people, {})
        await create_collections(attacked)
        yield attacked


async def create_collections(attacked: AttackedService) -> None:
    """Make the collections, and Ann's documents in them."""
    for name, schema, rules in (
        ("goods", schemas.of_model(Product), GOODS_RULES),
        ("vault", VAULT, RULES),
        ("free", FREE, RULES),
        ("letters", LETTERS, RULES),
        ("diaries", FREE, {"read": "owner", "create": "user"}),
        ("plans", VAULT, {}),
    ):
        body = {"name": name, "schema": schema, "rules": rules}
        await made(attacked, "/api/collections", body, "admin")
    for described, path in (("code-first", "/api/products"), ("runtime", "/api/goods")):
        attacked.places[described] = Place(path, await made(attacked, path, MUG, "ann"))
    await made(attacked, "/api/vault", {"name": "Box", "secret": "s3cret", "parts": [{"key": "k3y"}]}, "ann")


async def made(attacked: AttackedService, path: str, body: Any, who: str | None) -> dict[str, Any]:
    answer = await attacked.client.post(path, json=body, headers=attacked.people[who])
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()["data"]
    return created


@pytest.fixture(params=["code-first", "runtime"])
def place(request: pytest.FixtureRequest, attacked: AttackedService) -> Place:
    """Provide a collection described by a class, and one described by a stored definition."""
    return attacked.places[request.param]
