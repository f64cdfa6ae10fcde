"""Workers go and others come, while clients ask."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.asking import asked
from tests.live.deployment import wait_until
from tests.live.processes import DEADLINE_S, Service, running
from tests.pace import slowness

pytestmark = [pytest.mark.alone, pytest.mark.xdist_group("busy")]

SERVE = str(Path(__file__).with_name("serve.py"))
CLIENTS = 40
SEEN_S = 0.5
"""How long after a kill its connections are seen to be closed."""


def port(service: Service) -> int:
    return int(service.url.rpartition(":")[2])


def events(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.logged().splitlines()]


def has_logged(service: Service, event: str) -> bool:
    return any(line["event"] == event for line in events(service))


async def until_logged(service: Service, event: str) -> None:
    await asyncio.to_thread(wait_until, lambda: has_logged(service, event))


async def until_told_by(told: list[Any], others_than: set[bytes | None]) -> None:
    """Wait until a worker has answered that is none of these."""
    await asyncio.to_thread(wait_until, lambda: {each.body for each in list(told)} - others_than != set())


async def both(told: list[Any]) -> set[bytes | None]:
    """Wait until each of two workers has answered; returns their answers."""
    await asyncio.to_thread(wait_until, lambda: len({each.body for each in list(told)}) > 1)
    return {each.body for each in told}


async def get(service: Service, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(base_url=service.url, timeout=DEADLINE_S) as http:
        return await http.get(path)


def descriptors(service: Service) -> int:
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


async def test_rolling_restart_loses_no_request() -> None:
    with running(SERVE, "patient", "workers=2") as service:
        held = descriptors(service)
        async with asked(port(service), CLIENTS, "/", "/", "/slow") as told:
            before = await both(told)
            service.signal(signal.SIGHUP)
            await asyncio.sleep(0.2)
            service.signal(signal.SIGHUP)  # while the first successor is being started
            await until_logged(service, "renewed")
            ready = await get(service, "/api/health/ready")
            renewed_s = time.monotonic()

            def answers() -> set[bytes | None]:
                return {each.body for each in list(told) if each.began_s > renewed_s}

            await asyncio.to_thread(wait_until, lambda: len(answers()) > 1)
            await asyncio.sleep(0.3)
        assert [each for each in told if each.body is None] == []
        after = answers()
        assert len(before) == len(after) == 2
        assert not before & after
        assert ready.status_code == 200
        assert descriptors(service) == held
        service.signal()
        assert await asyncio.to_thread(service.code) == 0


async def test_killed_worker_loses_only_its_requests_in_flight() -> None:
    with running(SERVE, "patient", "workers=2") as service:
        async with asked(port(service), CLIENTS, "/", "/", "/slow") as told:
            before = await both(told)
            victim = min(int(body or 0) for body in before)
            seen_s = SEEN_S * slowness()
            killed_s = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            await until_told_by(told, before | {None})
            await asyncio.sleep(0.3)
        lost = [each for each in told if each.body is None]
        assert 0 < len(lost) < CLIENTS
        assert all(each.began_s < killed_s + seen_s and each.ended_s > killed_s for each in lost)
        assert b"%d" % victim not in {each.body for each in told if each.began_s > killed_s + seen_s}
        assert [each["event"] for each in events(service)] == ["workers died"]


async def test_rolling_restart_with_failing_workers_keeps_old_ones(tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled"
    with running(SERVE, "fickle", "workers=1", variables={"SPOILED": str(spoiled)}) as service:
        before = (await get(service)).text
        spoiled.touch()
        service.signal(signal.SIGHUP)
        await until_logged(service, "renewal given up")
        (given_up,) = [line for line in events(service) if line["event"] == "renewal given up"]
        assert given_up["reason"] == "SHEAF_JWT_SECRET must be set"
        assert given_up["hint"] == "The old workers serve on."
        assert (await get(service)).text == before
        service.signal()
        assert service.code() == 0


async def test_other_worker_serves_while_replacement_cannot_start(tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled"
    chosen = {"SPOILED": str(spoiled)}
    with running(SERVE, "fickle", "workers=2", variables=chosen) as service:
        async with asked(port(service), 8, "/") as told:
            before = await both(told)
            spoiled.touch()
            victim, survivor = (int(body or 0) for body in before)
            os.kill(victim, signal.SIGKILL)

            def tries() -> int:
                return sum(line.get("reason") is not None for line in events(service))

            await asyncio.to_thread(wait_until, lambda: tries() > 1)
            assert (await get(service)).text == str(survivor)
            spoiled.unlink()
            await until_told_by(told, before | {None})
