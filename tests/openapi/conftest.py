"""A service with collections of every form, started once for a whole module of tests."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio
from litestar import Litestar

from tests.conftest import served
from tests.openapi.definitions import DEFINITIONS


@dataclass(frozen=True, slots=True)
class ServiceWithCollections:
    """The running service: a client, and the headers of those who come."""

    app: Litestar
    client: httpx.AsyncClient
    people: dict[str, dict[str, str]]

    async def contract(self, who: str = "admin") -> Any:
        answer = await self.client.get("/api/openapi.json", headers=self.people[who])
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[ServiceWithCollections]:
    async with served(mongodb_uri) as opened:
        ann, keeper, admin = (opened.signed_in(*roles) for roles in ((), ("keeper",), ("admin",)))
        for definition in DEFINITIONS:
            answer = await opened.client.post("/api/collections", json=definition, headers=admin)
            assert answer.status_code == 201, answer.text
        people = {"nobody": {}, "ann": ann, "keeper": keeper, "admin": admin}
        yield ServiceWithCollections(opened.app, opened.client, people)
