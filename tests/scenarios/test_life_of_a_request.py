"""docs/explanation/life-of-a-request.md is true: its functions are there, and called in the page's order."""

import re
import sys
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.conftest import Service, served

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service"
PAGE = (ROOT / "docs/explanation/life-of-a-request.md").read_text()
FILE = re.compile(r"\[([\w/]+\.py)\](?!:)")
CALL = re.compile(r"`([\w.]+)`\s+\(\[([\w/]+\.py)\]\)")
DEFINITION = re.compile(r"^\[([\w/]+\.py)\]: (\S+)$", re.MULTILINE)
ADDRESS = "https://github.com/sheaf-api/sheaf/blob/main/service"
MOST_FILES = 30
SHARED, LIST, PATCH, SIGN_IN = (part.partition("\n")[2] for part in PAGE.split("\n## ")[1:])
ACCOUNT = {"email": "ann@example.com", "password": "correct horse battery"}
THINGS = {
    "name": "things",
    "schema": {"type": "object", "properties": {"name": {"type": "string"}, "price": {"type": "number"}}},
    "rules": {"read": "anyone", "write": "user"},
}

Called = tuple[str, str]
"""A function's qualified name, and its file within `service/`."""


class Recorder:
    """Notes which functions of the service are called, in order; for `sys.setprofile`."""

    def __init__(self) -> None:
        self.called: dict[Called, None] = {}
        self.is_on = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if self.is_on and event == "call":
            code = frame.f_code
            path = Path(code.co_filename)
            if path.is_relative_to(SERVICE):
                self.called.setdefault((code.co_qualname, str(path.relative_to(SERVICE))))

    async def during(self, request: Awaitable[httpx.Response]) -> tuple[httpx.Response, list[Called]]:
        """Make a request, and return its answer and what was called for it, each once."""
        self.called, self.is_on = {}, True
        answer = await request
        self.is_on = False
        return answer, list(self.called)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """A recorder for this thread, and for all that are started while it is there."""
    recorder = Recorder()
    sys.setprofile(recorder)
    threading.setprofile(recorder)
    yield recorder
    sys.setprofile(None)
    threading.setprofile(None)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str, recorder: Recorder) -> Any:
    assert recorder
    async with served(mongodb_uri) as opened:
        yield opened


def steps(walk: str) -> list[Called]:
    return [(name, path) for name, path in CALL.findall(walk)]


def in_order(wanted: list[Called], called: list[Called]) -> list[Called]:
    """Return the calls that were wanted, each once, in the order in which they came."""
    return [each for each in called if each in wanted]


@pytest.mark.parametrize("walk", [LIST, PATCH, SIGN_IN], ids=["list", "patch", "sign-in"])
def test_walk_has_numbered_steps_and_few_files(walk: str) -> None:
    numbers = re.findall(r"^(\d+)\. ", walk, re.MULTILINE)
    assert numbers == [str(n + 1) for n in range(len(numbers))]
    assert len(steps(walk)) > 15
    assert len({*FILE.findall(SHARED), *FILE.findall(walk)}) <= MOST_FILES


def test_every_file_of_a_walk_exists_and_is_linked() -> None:
    definitions = dict(DEFINITION.findall(PAGE))
    assert definitions.keys() == set(FILE.findall(PAGE))
    for path, address in definitions.items():
        assert (SERVICE / path).exists(), path
        assert address == f"{ADDRESS}/{path}"


async def test_walks_name_what_is_called_in_its_order(service: Service, recorder: Recorder) -> None:
    client, admin = service.client, service.signed_in("admin")
    assert (await client.post("/api/collections", json=THINGS, headers=admin)).status_code == 201
    made = await client.post("/api/things", json={"name": "a", "price": 12}, headers=admin)
    address = f"/api/things/{made.json()['data']['id']}"

    listing = client.get("/api/things?filter[price][gte]=10&sort=-price")
    answer, called = await recorder.during(listing)
    assert answer.json()["data"][0]["price"] == 12
    assert in_order(steps(SHARED), called) == steps(SHARED)
    assert in_order(steps(LIST), called) == steps(LIST)

    conditional = {**service.signed_in(), "If-Match": '"1"'}
    answer, called = await recorder.during(client.patch(address, json={"price": 5}, headers=conditional))
    assert answer.json()["data"]["_version"] == 2
    assert in_order(steps(SHARED), called) == steps(SHARED)
    assert in_order(steps(PATCH), called) == steps(PATCH)

    assert (await client.post("/api/auth/register", json=ACCOUNT)).status_code == 201
    answer, called = await recorder.during(client.post("/api/auth/login", json=ACCOUNT))
    assert answer.json()["data"]["access_token"]
    assert in_order(steps(SHARED), called) == steps(SHARED)
    assert in_order(steps(SIGN_IN), called) == steps(SIGN_IN)
