"""The examples of the pages on identity do what they say: each page's shell, run as it stands, in order."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bson import ObjectId
from granian.constants import Interfaces
from granian.server.embed import Server

from tests.conftest import Service, served

DOCS = Path(__file__).parents[2] / "docs/how-to"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
DEADLINE_S = 20
URL = "http://127.0.0.1:8000"
ACCOUNT = {"email": "ann@example.com", "password": "correct horse battery"}
STATUSES = {
    "identity": [201, 200, 200, 200],
    "sessions": [200, 200, 200, 200, 204, 200, 200, 200, 204],
    "signing-in": [201, 200, 200, 200, 200, 200, 204],
    "api-keys": [201, 200, 200, 200, 204],
    "users": [200, 200, 201, 200, 200, 200],
}
"""What the requests of each page are answered with."""

PROLOGUE = """\
set -euo pipefail
curl() { command curl --silent --write-out '%{stderr}%{http_code}\\n' "$@"; }
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[tuple[Service, str]]:
    """Provide a service with an account, and the URL that it listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with served(mongodb_uri) as opened:
        await opened.client.post("/api/auth/register", json=ACCOUNT)
        server = Server(opened.app, port=port, interface=Interfaces.ASGINL, log_enabled=False)
        serving = asyncio.create_task(server.serve())
        yield opened, f"http://127.0.0.1:{port}"
        server.stop()  # type: ignore[no-untyped-call]  # granian has no type for it
        await serving


def shell(page: str) -> str:
    """Return all that a page would have one type."""
    return "\n".join(BLOCK.findall((DOCS / f"{page}.md").read_text()))


async def token(service: Service, page: str) -> str:
    """Return the access token that a page takes to be there."""
    if page == "users":
        return service.signed_in("admin")["Authorization"].removeprefix("Bearer ")
    answer = await service.client.post("/api/auth/login", json=ACCOUNT)
    return str(answer.json()["data"]["access_token"])


@pytest.mark.parametrize("page", STATUSES)
async def test_shell_examples_of_page_return_documented_statuses(
    service: tuple[Service, str], tmp_path: Path, page: str
) -> None:
    opened, url = service
    script = PROLOGUE + shell(page).replace(URL, url)
    if page == "identity":  # it makes the account that the others use
        script = script.replace("ann@example.com", f"{ObjectId()}@example.com")
    run = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TOKEN": await token(opened, page)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, statuses = await asyncio.wait_for(run.communicate(), DEADLINE_S)
    assert statuses.decode().split() == [str(status) for status in STATUSES[page]], said.decode()
    assert run.returncode == 0
