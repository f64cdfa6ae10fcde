from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.scenarios.identity import ANN, LOGIN, REGISTER, SignUp
from tests.scenarios.library import LibraryService, open_library


@pytest.fixture
def sign_up(client: httpx.AsyncClient) -> SignUp:
    """Provide a function that registers somebody and signs them in: their user and their headers."""

    async def sign_up(**changes: str) -> dict[str, Any]:
        body = ANN | changes
        registered = await client.post(REGISTER, json=body)
        assert registered.status_code == 201, registered.text
        answer = await client.post(LOGIN, json={"email": body["email"], "password": body["password"]})
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        return {"user": data["user"], "headers": {"Authorization": f"Bearer {data['access_token']}"}}

    return sign_up


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["code-first", "runtime"])
async def library(request: pytest.FixtureRequest, mongodb_uri: str) -> AsyncIterator[LibraryService]:
    """Provide the library, started once for a module, described by classes and then by stored definitions."""
    async with open_library(mongodb_uri, is_code_first=request.param == "code-first") as library:
        yield library
