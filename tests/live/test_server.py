"""Worker processes, signals and the drain, over small applications in processes of their own."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.live.processes import DEADLINE_S, Service, fetched, finished, running
from tests.pace import within

pytestmark = pytest.mark.alone

SERVE = str(Path(__file__).with_name("serve.py"))


@contextmanager
def serving(*changes: str) -> Iterator[Service]:
    with running(SERVE, "patient", *changes) as service:
        yield service


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def begin(pool: ThreadPoolExecutor, service: Service, path: str) -> Future[httpx.Response]:
    """Send a request, and wait until the service has begun it."""
    answer = pool.submit(httpx.get, service.url + path, timeout=DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while fetched(service.url + "/waiting").text != "1":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


def until_draining(service: Service) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while fetched(service.url + "/api/health/ready").status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pids(service: Service, wanted: int) -> set[int]:
    """Ask, each time on a new connection, until so many processes have answered."""
    deadline = time.monotonic() + DEADLINE_S
    seen: set[int] = set()
    while len(seen) < wanted and time.monotonic() < deadline:
        seen.add(int(fetched(service.url + "/").text))
    return seen


def test_idle_service_ends_at_once_on_signal() -> None:
    with serving() as service, within(2):
        service.signal()
        assert service.code() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_draining_service_finishes_requests_and_refuses_new_ones(
    number: int, background: ThreadPoolExecutor
) -> None:
    with serving() as service, httpx.Client(base_url=service.url) as kept_alive:
        kept_alive.get("/")
        slow = begin(background, service, "/slower")
        service.signal(number)
        until_draining(service)
        refused = [kept_alive.get("/"), fetched(service.url + "/")]
        assert [(answer.status_code, answer.text) for answer in refused] == [(503, "service.draining")] * 2
        assert all(answer.headers["retry-after"] == "2" for answer in refused)
        assert all(answer.headers["connection"] == "close" for answer in refused)
        assert slow.result().status_code == 200
        assert service.code() == 0
        with pytest.raises(httpx.ConnectError):
            fetched(service.url + "/")


def test_service_serves_on_for_the_drain_delay() -> None:
    with serving("drain_delay_s=2") as service:
        service.signal()
        until_draining(service)
        served = fetched(service.url + "/")
        assert (served.status_code, served.headers["connection"]) == (200, "close")
        assert service.code() == 0


def test_hangup_of_terminal_ends_service() -> None:
    ours, its = os.openpty()
    try:
        with running(SERVE, "patient", stdin=its) as service:
            service.signal(signal.SIGHUP)
            assert service.code() == 0
    finally:
        os.close(its)
        os.close(ours)


def test_requests_beyond_drain_timeout_are_cut_off(background: ThreadPoolExecutor) -> None:
    with serving("drain_timeout_s=1") as service:
        endless = begin(background, service, "/endless")
        service.signal()
        assert service.code() == 0
        with pytest.raises(httpx.RemoteProtocolError):
            endless.result()
        cut_off = json.loads(service.logged().splitlines()[-1])
        assert (cut_off["event"], cut_off["requests"], cut_off["after_s"]) == ("requests cut off", 1, 1)


def test_second_signal_ends_service_at_once(background: ThreadPoolExecutor) -> None:
    with serving("drain_timeout_s=60") as service:
        endless = begin(background, service, "/endless")
        service.signal()
        until_draining(service)
        service.signal(signal.SIGINT)
        assert service.code() == 128 + signal.SIGINT
        with pytest.raises(httpx.RemoteProtocolError):
            endless.result()


def test_each_worker_is_its_own_process() -> None:
    with serving("workers=3") as service:
        assert len(pids(service, 3)) == 3


def test_killed_workers_are_replaced_repeatedly() -> None:
    with serving("workers=2") as service:
        gone: set[int] = set()
        for _ in range(3):
            workers = pids(service, 2)
            assert not workers & gone
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            gone |= workers
            until_served(service)
        service.signal()
        assert service.code() == 0


def until_served(service: Service) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            assert fetched(service.url + "/").status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def test_workers_end_with_killed_main_process() -> None:
    with serving("workers=2") as service:
        workers = pids(service, 2)
        service.signal(signal.SIGKILL)
        service.code()
        deadline = time.monotonic() + DEADLINE_S
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("application", "sentence"),
    [
        ("unset", "sheaf: SHEAF_JWT_SECRET must be set."),
        ("unlivable", "sheaf: The database is too old."),
        ("broken", "sheaf: A worker could not start; the log above says why."),
    ],
)
def test_application_that_cannot_start_fails_with_one_sentence(application: str, sentence: str) -> None:
    ended = finished(SERVE, application, "workers=2")
    assert (ended.returncode, ended.stdout, ended.stderr.splitlines()[-1]) == (1, "", sentence)
    assert ended.stderr.count("sheaf: ") == 1


def test_failed_start_of_worker_is_logged_with_traceback() -> None:
    logged = json.loads(finished(SERVE, "broken").stderr.splitlines()[0])
    assert (logged["event"], logged["level"]) == ("worker failed", "error")
    assert logged["exception"].startswith("Traceback")
    assert logged["exception"].endswith("ZeroDivisionError: a bug")


def test_port_in_use_fails_before_anything_starts() -> None:
    with serving() as service:
        port = service.url.rpartition(":")[2]
        ended = finished(SERVE, "patient", f"port={port}")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"sheaf: Port {port} on 127.0.0.1 is in use;"
        " stop what uses it, or set SHEAF_PORT (0 takes a free one).\n"
    )


def test_service_on_every_address_is_announced_once_and_reachable() -> None:
    with serving("host=0.0.0.0") as service:
        assert service.url.startswith("http://0.0.0.0:")
        port = int(service.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S):
            pass
        service.signal()
        assert service.code() == 0
        assert service.process.stdout is not None
        assert service.process.stdout.read() == ""
