"""A service with users and collections, to make keys in and to use them on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio
from bson import ObjectId

from models.base import utc_now
from tests.conftest import Service, bearer, served
from tests.services import services_of

KEYS = "/api/keys"


@dataclass(frozen=True)
class Person:
    """A stored user, and the headers of a session."""

    id: str
    headers: dict[str, str]


@dataclass(frozen=True)
class KeyClient:
    """What tests of keys need: the service, people, keys, and what is stored."""

    service: Service

    @property
    def client(self) -> httpx.AsyncClient:
        return self.service.client

    def person(self, *roles: str, **members: Any) -> Person:
        """Store a user without a password, and sign the user in."""
        user_id = ObjectId()
        user = {
            "_id": user_id,
            "email": f"{user_id}@example.com",
            "email_key": f"{user_id}@example.com",
            "roles": list(roles),
            "attributes": {},
            "is_disabled": False,
            "epoch": 0,
            "_version": 1,
            "_created_at": utc_now(),
            "_updated_at": utc_now(),
        }
        self.service.database["_users"].insert_one(user | members)
        return Person(str(user_id), bearer(services_of(self.service.app).tokens, str(user_id), *roles))

    async def make(self, person: Person, *scopes: str, **members: Any) -> dict[str, Any]:
        """Make a key for somebody and give the answer's data, the key itself included."""
        body = {"name": "a program", "scopes": list(scopes), **members}
        answer = await self.client.post(KEYS, json=body, headers=person.headers)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()["data"]
        return made

    async def key(self, person: Person, *scopes: str) -> dict[str, str]:
        """Make a key for somebody and give the headers of requests with it."""
        return using(await self.make(person, *scopes))

    def stored(self) -> dict[str, list[Any]]:
        """Read all that is stored, without the service, but for what merely using a key may change."""
        database = self.service.database
        names = sorted(set(database.list_collection_names()) - {"_rate_limits", "system.profile"})
        found = {name: list(database[name].find().sort("_id")) for name in names}
        for key in found.get("_api_keys", []):
            del key["last_used_at"], key["last_used_address"]
        return found

    def events(self, target_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Read what the audit log says of a target."""
        found = self.service.database["_audit"].find({"target.id": target_id}).sort("_id")
        return [(event["action"], event["details"]) for event in found]


def using(made: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['key']}"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def key_client(mongodb_uri: str) -> AsyncIterator[KeyClient]:
    async with served(mongodb_uri) as service:
        yield KeyClient(service)
