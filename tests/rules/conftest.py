"""The service with collections that have rules, shared by all tests of rules."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from bson import ObjectId

from tests.conftest import Service, bearer, served
from tests.rules.papers import PapersCollection, defined
from tests.rules.sending import SCHEMA, Send
from tests.services import services_of


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as service:
        yield service


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def papers(service: Service) -> PapersCollection:
    return await defined(service)


@pytest.fixture
def send(service: Service) -> Send:
    """Provide a function that sends a request of a user, by the id and roles."""

    async def send(who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        signed_in = bearer(services_of(service.app).tokens, who, *(("admin",) if who == "root" else ()))
        return await service.client.request(
            method,
            f"/api/{path}",
            json=body,
            headers=signed_in | {"Content-Type": "application/json"} | headers,
        )

    return send


@pytest.fixture
def define(send: Send, request: pytest.FixtureRequest) -> Send:
    """Provide a function that makes a collection with rules, and provides its name."""

    async def define(rules: dict[str, Any], **more: Any) -> str:
        name = f"c{ObjectId()}"
        body = {"name": name, "schema": SCHEMA, "rules": rules, **more}
        answer = await send("root", "POST", "collections", body)
        assert answer.status_code == 201, answer.text
        return name

    return define
