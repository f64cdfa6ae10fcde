"""`sheaf serve` itself, in processes of its own."""

import json
import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pymongo
import pytest

from tests.live.processes import DEADLINE_S, fetched, finished, running, started

SHEAF = ("-c", "from service.cli import main; main()", "serve")
SECRET = "a-secret-of-the-tests-and-of-nobody-else"


@pytest.fixture
def variables(mongodb_uri: str) -> Iterator[dict[str, str]]:
    """Yield an environment in which `sheaf serve` starts."""
    name = "test_serve"
    yield {
        "MONGODB_URI": mongodb_uri,
        "SHEAF_DATABASE": name,
        "SHEAF_JWT_SECRET": SECRET,
        "SHEAF_PORT": "0",
        "SHEAF_DATABASE_TIMEOUT_S": "60",  # a slow start is no news here
        "SHEAF_WORKERS": "2",
    }
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(name)


def test_served_application_is_ready_when_announced_and_ends_well(variables: dict[str, str]) -> None:
    with running(*SHEAF, variables=variables) as service:
        ready = fetched(service.url + "/api/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        listed = fetched(service.url + "/api/products")
        assert (listed.status_code, listed.json()["data"]) == (200, [])
        service.signal(signal.SIGTERM)
        assert service.code() == 0
        logged = [json.loads(line) for line in service.logged().splitlines()]
        requests = [line["request_id"] for line in logged if line.get("path") == "/api/products"]
        assert requests == [listed.headers["x-request-id"]]


def test_flags_win_over_environment(variables: dict[str, str]) -> None:
    with running(*SHEAF, "--host", "localhost", "--workers", "1", variables=variables) as service:
        assert service.url.startswith("http://localhost:")
        assert fetched(service.url + "/api/health/live").status_code == 200


def test_service_without_database_runs_and_answers_503(variables: dict[str, str]) -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    lost = {
        "SHEAF_OPERATION_TIMEOUT_S": "0.3",
        "MONGODB_URI": "mongodb://127.0.0.1:1/",
        "SHEAF_DATABASE_TIMEOUT_S": "0.2",
        "SHEAF_PORT": str(port),
    }
    with started(*SHEAF, variables=variables | lost) as process:
        url = f"http://127.0.0.1:{port}"
        assert until_answered(url + "/api/health/live").status_code == 200
        ready = fetched(url + "/api/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "database.unavailable")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""


def until_answered(url: str) -> httpx.Response:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return fetched(url)
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_malformed_mongodb_uri_fails_with_one_sentence(variables: dict[str, str]) -> None:
    ended = finished(*SHEAF, variables=variables | {"MONGODB_URI": "postgres://ann:hunter2@db"})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("sheaf: MONGODB_URI is wrong: ")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr
