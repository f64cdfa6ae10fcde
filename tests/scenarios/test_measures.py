"""A service tells Prometheus what is asked of it, and nobody else."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.app.pipeline import pipeline
from service.app.services import build
from service.http.pipeline.measuring import Measuring, ServerTiming
from service.runtime.metrics import Exposition, Meter, WorkerState
from service.runtime.metrics.families import FAMILIES
from service.runtime.settings import Settings
from tests.conftest import Service, served

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

IN_TROUBLE = {
    "sheaf_mongodb_connections_closed_total",
    "sheaf_mongodb_checkouts_failed_total",
    "sheaf_stream_byes_total",
    "sheaf_subscription_resets_total",
}
"""Metrics that have no series while nothing of the kind has happened."""

CHANGES = {"rate_limit": "on", "rate_limit_refresh": "5/minute", "server_timing": "auto"}

NOT_AT_ONCE = {"sheaf_event_loop_lag_seconds"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def measured(mongodb_uri: str) -> AsyncIterator[Service]:
    Meter.of_process().share(None)
    async with served(mongodb_uri, metrics_port=0, **CHANGES) as service:
        yield service
    Meter.of_process().share(None)


def told() -> Series:
    """Return what a scrape of this process would."""
    cells = Meter.of_process().cells
    exposition = Exposition([cells], lambda: [WorkerState(is_up=True, in_flight=0)], 1, lambda: 0)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in exposition.collect()
        for sample in metric.samples
    }


def count(series: Series, name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0.0)


def requests(series: Series, method: str, route: str, status: int) -> float:
    return count(series, "sheaf_http_requests_total", method=method, route=route, status=str(status))


async def test_requests_are_counted_by_route_template_only(measured: Service) -> None:
    before, client, admin = told(), measured.client, measured.signed_in("admin")
    secret = "a-name-that-a-client-chose"
    await client.get(f"/api/{secret}")
    await client.get(f"/api/products/{secret}?{secret}={secret}")
    await client.get(f"/{secret}/{secret}/{secret}/{secret}")
    await client.request(secret.upper(), f"/api/products/{secret}")
    definition = {"name": secret, "schema": {"type": "object"}, "rules": {"write": "anyone"}}
    assert (await client.post("/api/collections", json=definition, headers=admin)).status_code == 201
    assert (await client.post(f"/api/{secret}", json={"a": secret})).status_code == 201
    after = told()
    for method, route, status in (
        ("GET", "/api/{collection}", 404),
        ("GET", "/api/{collection}/{document_id}", 400),
        ("GET", "none", 404),
        ("other", "none", 405),
        ("POST", "/api/collections", 201),
        ("POST", "/api/{collection}", 201),
    ):
        assert requests(after, method, route, status) - requests(before, method, route, status) == 1, route
    values = {value for _, labels in after for _, value in labels}
    assert not [value for value in values if secret in value.lower()]


async def test_every_metric_has_a_source(measured: Service) -> None:
    await measured.client.get("/api/products?limit=1")
    await measured.client.get("/api/products/0123456789abcdef01234567")
    Meter.of_process().sample([])
    series = told()
    assert count(series, "sheaf_database_call_requests_count", lane="quick") >= 1
    names = {name for name, _ in series}
    shown = {
        name for name, family in FAMILIES.items() if {name, f"{name}_count"} & names or family.kind == "gauge"
    }
    assert set(FAMILIES) - shown <= IN_TROUBLE | NOT_AT_ONCE


async def test_metrics_are_not_served_on_service_port(measured: Service) -> None:
    for path in ("/metrics", "/api/metrics", "/api/health/metrics"):
        answer = await measured.client.get(path)
        assert answer.status_code == 404
        assert "sheaf_" not in answer.text


async def test_decisions_of_rate_limits_are_counted(measured: Service) -> None:
    statuses = [(await measured.client.post("/api/auth/refresh", json={})).status_code for _ in range(8)]
    assert statuses[4] != 429
    assert statuses[5:] == [429] * 3
    name = "sheaf_rate_limit_decisions_total"
    async with asyncio.timeout(30):
        while count(told(), name, tier="refresh", outcome="refused") < 3:  # noqa: ASYNC110 - told each second
            await asyncio.sleep(0.05)
    series = told()
    assert count(series, name, tier="refresh", outcome="admitted") == 5
    assert count(series, "sheaf_rate_limit_leases_total", tier="refresh", source="store") >= 1
    assert requests(series, "POST", "none", 429) == 3


def test_service_without_metrics_port_measures_nothing(settings: Settings) -> None:
    services = build(settings, [])
    assert settings.metrics_port is None
    assert not [step for step in pipeline(settings, services) if isinstance(step, Measuring)]
    services.database.close()


@pytest.mark.parametrize(
    ("environment", "chosen", "is_told"),
    [
        ("production", "auto", False),
        ("production", "on", True),
        ("development", "auto", True),
        ("development", "off", False),
    ],
)
def test_server_timing_is_on_in_development_or_by_setting(
    settings: Settings, environment: str, chosen: str, is_told: bool
) -> None:
    changed = settings.model_copy(update={"environment": environment, "server_timing": chosen})
    services = build(changed, [])
    assert any(isinstance(step, ServerTiming) for step in pipeline(changed, services)) == is_told
    services.database.close()


async def test_answer_in_development_has_server_timing(measured: Service) -> None:
    for path in ("/api/products", "/api/products/0123456789abcdef01234567", "/api/collections"):
        answer = await measured.client.get(path)
        parts = dict(part.split(";")[:2] for part in answer.headers["server-timing"].split(", "))
        milliseconds = {name: float(part.removeprefix("dur=")) for name, part in parts.items()}
        assert list(milliseconds) == ["total", "queue", "limit", "db", "app"]
        assert (milliseconds["db"] > 0) == (path != "/api/collections")
        assert milliseconds["db"] < milliseconds["total"]
