"""A service with collections of every form, started once for a whole module of tests."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest_asyncio
from bson import ObjectId
from litestar import Litestar

from service.app import create_app
from service.settings import load
from tests.conftest import SECRET, connect, opened
from tests.openapi.definitions import DEFINITIONS


@dataclass(frozen=True, slots=True)
class Fair:
    """The running service: a client, and the headers of those who come."""

    app: Litestar
    client: httpx.AsyncClient
    people: dict[str, dict[str, str]]

    async def contract(self, who: str = "admin") -> Any:
        answer = await self.client.get("/api/openapi.json", headers=self.people[who])
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fair(mongodb_uri: str) -> AsyncIterator[Fair]:
    settings = load(
        _env_file=None,
        environment="development",
        mongodb_uri=mongodb_uri,
        database=f"test_{uuid4().hex[:12]}",
        jwt_secret=SECRET,
        rate_limit="off",
        log_level="error",
    )
    app = create_app(settings)

    def signed_in(*roles: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {app.state.tokens.issue(str(ObjectId()), roles)}"}

    people = {"nobody": {}, "ann": signed_in(), "keeper": signed_in("keeper"), "admin": signed_in("admin")}
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb:
        async with opened(app), connect(app) as client:
            for definition in DEFINITIONS:
                answer = await client.post("/api/collections", json=definition, headers=people["admin"])
                assert answer.status_code == 201, answer.text
            yield Fair(app, client, people)
        mongodb.drop_database(settings.database)
