"""A service that sends mails, and people with accounts and mailboxes."""

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pymongo.database
from litestar import Litestar

from tests.mailbox import PATIENCE_S, Mailbox

PASSWORD, ANOTHER = "correct horse battery staple", "kitchen lamp seven"
LOGIN = "/api/auth/login"


@dataclass
class MailingService:
    """A service, its mails, and people who sign up one after the other, each with an address of their own."""

    app: Litestar
    client: httpx.AsyncClient
    database: "pymongo.database.Database[dict[str, Any]]"
    mailbox: Mailbox
    numbers: Any = field(default_factory=count)

    def address(self) -> str:
        return f"ann{next(self.numbers)}@example.com"

    async def post(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        json = {} if body is None else {"json": body}
        return await self.client.post(f"/api/auth{path}", headers=headers, **json)

    async def sign_up(self) -> tuple[str, dict[str, str]]:
        """Register somebody and sign them in; give the address, and the headers of their requests."""
        email = self.address()
        registered = await self.post("/register", {"email": email, "password": PASSWORD})
        assert registered.status_code == 201, registered.text
        return email, await self.sign_in(email)

    async def sign_in(self, email: str, password: str = PASSWORD) -> dict[str, str]:
        answer = await self.post("/login", {"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}

    async def status(self, email: str, password: str) -> int:
        """Return the status of a sign-in."""
        return (await self.post("/login", {"email": email, "password": password})).status_code

    async def profile(self, headers: dict[str, str]) -> httpx.Response:
        return await self.client.get("/api/profile", headers=headers)

    def user(self, email: str) -> dict[str, Any]:
        """Return an account as it is stored."""
        found = self.database["_users"].find_one({"email_key": email.casefold()})
        assert found is not None
        return found

    def audited(self, email: str) -> list[str]:
        """Return what was noted of an account, the oldest first."""
        events = self.database["_audit"].find({"target.id": str(self.user(email)["_id"])}).sort("_id")
        return [event["action"] for event in events]

    async def quiet(self) -> None:
        """Wait until no mail waits to be sent."""
        async with asyncio.timeout(PATIENCE_S):
            while self.database["_mails"].find_one({"state": "waiting"}):  # noqa: ASYNC110 - it has no events
                await asyncio.sleep(0.01)
