"""`sheaf watch`: a collection followed in the terminal, by the address of the service alone."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from service.cli import main, watch
from tests.live.processes import DEADLINE_S, environment
from tests.openapi.served import RunningServer, serving

SHEAF = (sys.executable, "-c", "from service.cli import main; main()", "watch")


@pytest.fixture(scope="module")
def served(mongodb_uri: str) -> Iterator[RunningServer]:
    with serving(mongodb_uri) as server:
        definition = {
            "name": "notes",
            "schema": {
                "type": "object",
                "properties": {"room": {"type": "string"}, "n": {"type": "integer"}},
            },
            "rules": {"read": "user", "write": "user"},
        }
        answer = httpx.post(f"{server.url}/api/collections", json=definition, headers=server.headers)
        assert answer.status_code == 201, answer.text
        yield server


@contextmanager
def watching(*arguments: str, url: str, token: str) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*SHEAF, *arguments],
        env=environment(SHEAF_URL=url, SHEAF_TOKEN=token),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def read(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    entry: dict[str, Any] = json.loads(process.stdout.readline())
    return entry


def test_entries_are_lines_of_json_until_it_is_interrupted(served: RunningServer) -> None:
    with httpx.Client(base_url=f"{served.url}/api", headers=served.headers) as client:
        one = client.post("/notes", json={"room": "x", "n": 1}).json()["data"]
        client.post("/notes", json={"room": "y", "n": 1})
        with watching("notes", "room=x", "n[gte]=1", url=served.url, token=served.token) as process:
            first = read(process)
            assert (first["event"], first["why"], first["data"]) == ("put", "snapshot", one)
            ready = read(process)
            assert (ready["event"], bool(ready["cursor"])) == ("ready", True)
            two = client.post("/notes", json={"room": "x", "n": 2}).json()["data"]
            told = read(process)
            assert (told["why"], told["data"]) == ("create", two)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=DEADLINE_S) == ("", "\n"), (
                "the shell's prompt gets its own line"
            )
            assert process.returncode == 130
        arguments = ("notes", '{"room": "x"}', "--fields", "n", "--since", ready["cursor"])
        with watching(*arguments, url=served.url, token=served.token) as process:
            stdout, stderr = process.communicate(timeout=DEADLINE_S)
            assert (stdout, process.returncode) == ("", 1)
            assert stderr.startswith("sheaf: ")
            assert "cursor" in stderr
        again = ("notes", "room=x", "n[gte]=1", "--since", ready["cursor"])
        with watching(*again, url=served.url, token=served.token) as process:
            assert read(process)["data"] == two
            assert process.stdout is not None
            process.stdout.close()
            client.post("/notes", json={"room": "x", "n": 3})
            assert process.wait(DEADLINE_S) == 0, "as `head` would end it"


def run(*arguments: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(main, ["watch", *arguments])
    return ended.exit_code, ended.stdout, ended.stderr


def test_what_cannot_be_watched_is_refused_with_one_sentence(served: RunningServer) -> None:
    at = ("--url", served.url)
    signed_in = (*at, "--token", served.token)
    assert run("nowhere", *signed_in) == (1, "", "sheaf: There is no such collection\n")
    code, _, said = run("notes", *at)
    assert (code, said) == (1, "sheaf: Sign in first: set SHEAF_TOKEN to an access token or API key\n")
    code, _, said = run("notes", "prise=1", *signed_in)
    assert (code, "prise" in said) == (1, True)
    code, _, said = run("notes", "room", *signed_in)
    assert (code, said) == (2, "sheaf: Invalid value: `room` is no filter; write `field=value`, or JSON.\n")


def test_service_that_is_not_there_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        code, _, said = run("notes", "--url", url)
    assert (code, said.startswith(f"sheaf: There is no answer from {url}/api/notes: ")) == (1, True)


Answer = tuple[int, str]


@contextmanager
def scripted(*answers: Answer) -> Iterator[tuple[str, list[str]]]:
    """Run a service that answers what it is told, then refuses; yield its address, and what it is asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = (
                answers[len(asked) - 1] if len(asked) <= len(answers) else (404, '{"detail":"end"}')
            )
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def event(name: str, data: Any, cursor: str | None = None) -> str:
    place = "" if cursor is None else f"id: {cursor}\n"
    return f"event: {name}\n{place}data: {json.dumps(data, ensure_ascii=False)}\n\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[float]]:
    paused: list[float] = []
    monkeypatch.setattr(watch, "sleep", paused.append)
    return lambda: paused


def test_it_goes_on_where_it_was_and_begins_anew_when_told(quick: Callable[[], list[float]]) -> None:
    put = {"why": "create", "data": {"id": 1, "text": "line\u2028separator\x85"}}
    answers: list[Answer] = [
        (200, event("put", put, "c1") + event("ready", {}, "c2") + "id: c3\n: ping\n\n"),
        (503, ""),
        (200, event("ready", {}, "c4") + event("bye", {"why": "draining", "retry_ms": 1500})),
        (200, event("reset", {"why": "history"}, "")),
        (200, event("ready", {}, "c5")),
    ]
    with scripted(*answers) as (url, asked):
        code, printed, said = run("notes", "--no-snapshot", "--url", url)
    assert (code, said) == (1, "sheaf: end\n")
    assert [query.partition("?")[2] for query in asked] == [
        "snapshot=none",
        "snapshot=none&since=c3",
        "snapshot=none&since=c3",
        "snapshot=none&since=c4",
        "snapshot=none",
        "snapshot=none&since=c5",
    ]
    assert [json.loads(line) for line in printed.split("\n")[:-1]] == [
        {"event": "put", "cursor": "c1", **put},
        {"event": "ready", "cursor": "c2"},
        {"event": "reset", "cursor": "", "why": "history"},
        {"event": "ready", "cursor": "c5"},
    ]
    first, second, told, reset, last = quick()
    assert 0.25 <= first <= 0.5
    assert 0.5 <= second <= 1
    assert (told, reset) == (1.5, 0)
    assert last <= 0.5


def test_people_see_why_id_and_document(
    monkeypatch: pytest.MonkeyPatch, quick: Callable[[], list[float]]
) -> None:
    monkeypatch.setattr(watch, "_show_json", watch._show_line)
    answer = event("put", {"why": "enter", "data": {"id": 7, "n": 1}}) + event(
        "gone", {"why": "leave", "id": 7, "_version": 2}
    )
    with scripted((200, answer + event("ready", {}))) as (url, _):
        _, printed, _ = run("notes", "--url", url)
    assert printed == 'enter     7  {"n":1}\nleave     7\nready\n'
