"""People with accounts who sign in on devices, for tests of identity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pymongo
from argon2 import PasswordHasher
from bson import ObjectId

from models.user import User

PASSWORD = "correct horse battery staple"
HASH = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)
LOGIN, REFRESH, LOGOUT = "/api/auth/login", "/api/auth/refresh", "/api/auth/logout"
SESSIONS, PROFILE = "/api/auth/sessions", "/api/profile"

Rows = pymongo.database.Database[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Person:
    """An account with the password PASSWORD."""

    id: str
    email: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"email": self.email, "password": PASSWORD}


@dataclass(slots=True)
class Device:
    """A client that keeps its tokens by itself."""

    client: httpx.AsyncClient
    tokens: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    @property
    def refresh_token(self) -> str:
        return str(self.tokens["refresh_token"])

    @property
    def session_id(self) -> str:
        return self.refresh_token.partition(".")[0]

    async def status(self, client: httpx.AsyncClient | None = None) -> int:
        """Return how the profile is answered to this device."""
        return (await (client or self.client).get(PROFILE, headers=self.headers)).status_code

    async def refresh(self, refresh_token: str | None = None) -> httpx.Response:
        presented = refresh_token or self.refresh_token
        return await self.client.post(REFRESH, json={"refresh_token": presented})

    async def refreshed(self) -> None:
        answer = await self.refresh()
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()["data"]


def person(database: Rows, *roles: str) -> Person:
    """Make an account, without the service."""
    key, now = ObjectId(), datetime.now(UTC)
    email = f"{key}@example.com"
    members = {"_id": key, "email": email, "email_key": email, "password_hash": HASH, "roles": list(roles)}
    stamps = {"_version": 1, "_created_at": now, "_updated_at": now}
    rest = {"is_disabled": False, "epoch": 0, "attributes": {}, "is_email_verified": True, "name": None}
    database[User.Settings.name].insert_one(members | rest | stamps)
    return Person(str(key), email)


async def sign_in(client: httpx.AsyncClient, someone: Person, device: str = "Phone/1") -> Device:
    """Sign somebody in on a device of their own."""
    answer = await client.post(LOGIN, json=someone.credentials, headers={"User-Agent": device})
    assert answer.status_code == 200, answer.text
    return Device(client, answer.json()["data"])
