"""The JavaScript module `/sheaf.js`: served as files are, and run by Node against a service."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest
from bson import ObjectId

from service.http.controllers.client import MODULE
from service.identity.core.tokens import Tokens
from tests.conftest import SECRET, bearer
from tests.live.processes import environment, running
from tests.openapi.served import SHEAF

NODE = shutil.which("node")
SUITES = sorted(Path(__file__).parent.glob("*.test.mjs"))
DEADLINE_S = 110
COLLECTIONS = 10
"""How many a suite may make."""


async def test_module_is_served_with_entity_tag_to_pages_anywhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sheaf.js", headers={"Origin": "http://localhost:5173"})
    assert (answer.status_code, answer.content) == (200, MODULE.read().content)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, no-cache"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    tag = {"If-None-Match": answer.headers["etag"]}
    assert (await client.get("/sheaf.js", headers=tag)).status_code == 304
    head = await client.head("/sheaf.js")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(answer.content)))
    assert (await client.get("/sheaf.js", headers={"Authorization": "Bearer old"})).status_code == 200
    assert (await client.get("/sheaf.js?x=1")).status_code == 400


async def test_module_loads_nothing_else() -> None:
    text = MODULE.read().content.decode()
    assert "import(" not in text
    assert not [line for line in text.splitlines() if line.startswith("import ")]


@pytest.fixture(scope="module")
def node_environment(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run a service whose streams live for a second, and tell Node where it is, and the module."""
    if NODE is None:
        pytest.skip("needs Node, to run what browsers run")
    module = tmp_path_factory.mktemp("client") / "sheaf.mjs"
    module.write_bytes(MODULE.read().content)
    name = f"test_{uuid4().hex[:12]}"
    variables = {
        "MONGODB_URI": mongodb_uri,
        "SHEAF_DATABASE": name,
        "SHEAF_JWT_SECRET": SECRET,
        "SHEAF_LOG_LEVEL": "error",
        "SHEAF_PORT": "0",
        "SHEAF_RATE_LIMIT": "off",
        "SHEAF_STREAM_LIFETIME_S": "1",
        "SHEAF_WORKERS": "1",
    }
    admin = bearer(Tokens(SECRET, [], "sheaf", "sheaf", 86400), str(ObjectId()), "admin")
    with running(*SHEAF, variables=variables) as service:
        yield environment(
            SHEAF_URL=service.url,
            SHEAF_MODULE=str(module),
            SHEAF_TEST_DATABASE=name,
            SHEAF_ADMIN=admin["Authorization"].removeprefix("Bearer "),
        )
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb:
        mongodb.drop_database(name)


def make_collections(mongodb_uri: str, database: str, prefix: str) -> None:
    """Make collections with the images of documents before their changes, for the tests of a suite."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as mongodb:
        for number in range(COLLECTIONS):
            mongodb[database].create_collection(
                f"{prefix}{number}", changeStreamPreAndPostImages={"enabled": True}
            )


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name)
def test_module_does_in_node_what_its_tests_say(
    mongodb_uri: str, node_environment: dict[str, str], suite: Path
) -> None:
    prefix = suite.name.partition(".")[0]
    make_collections(mongodb_uri, node_environment["SHEAF_TEST_DATABASE"], prefix)
    done = subprocess.run(  # noqa: S603 - our own command
        [
            str(NODE),
            "--test",
            "--test-reporter=spec",
            "--test-timeout=60000",
            "--experimental-websocket",
            str(suite),
        ],
        env=node_environment | {"SHEAF_COLLECTIONS": prefix},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
