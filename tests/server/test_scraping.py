"""The port for Prometheus: who may read it, and that nobody can hold it."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.kit.errors import StartupFailure
from service.runtime.server import Scraping, find, scraping
from service.runtime.server.scraping import MAXIMUM_CONNECTIONS, scraped

HTTP = httpx.Client(verify=False, headers={"connection": "close"})  # noqa: S501 - there is no TLS
TOKEN = "a-token-of-the-tests-é"
Opened = Callable[..., str]


class One(Collector):
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("one", "One.", value=1)


class FailingCollector(Collector):
    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        raise ZeroDivisionError


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:

        def open_port(
            token: str | None = None, collector: Collector | None = None, host: str = "127.0.0.1"
        ) -> str:
            chosen = Scraping(find(host, 0), token)
            stack.enter_context(scraped(chosen, collector or One()))
            return chosen.url

        yield open_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_scrape_without_token_configured_returns_metrics(opened: Opened, host: str) -> None:
    answer = HTTP.get(opened(host=host))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "\none 1.0\n" in answer.text


def test_scrape_accepting_openmetrics_gets_openmetrics(opened: Opened) -> None:
    answer = HTTP.get(opened(), headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer " + "ÿ" * 4000,
    ],
)
def test_scrape_without_token_is_401(opened: Opened, sent: str | None) -> None:
    headers = [] if sent is None else [(b"authorization", sent.encode("latin-1"))]
    answer = HTTP.get(opened(TOKEN), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'
    assert "one" not in answer.text.split()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_scrape_with_token_returns_metrics(opened: Opened, scheme: str) -> None:
    headers = [(b"authorization", f"{scheme} {TOKEN}".encode())]
    assert HTTP.get(opened(TOKEN), headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/products", "/metrics/", "/metrics2"])
def test_other_paths_of_metrics_port_are_404(opened: Opened, path: str) -> None:
    url = opened().removesuffix("/metrics")
    assert HTTP.get(url + path).status_code == 404


def test_write_to_metrics_port_is_refused(opened: Opened) -> None:
    assert HTTP.post(opened(), content=b"x").status_code == 405


def test_failed_scrape_reveals_no_details(opened: Opened, capfd: pytest.CaptureFixture[str]) -> None:
    answer = HTTP.get(opened(collector=FailingCollector()))
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text


def test_silent_clients_of_metrics_port_are_closed_in_time(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping._Handler, "timeout", 1.0)
    url = opened()
    port = httpx.URL(url).port
    assert port is not None
    with ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(MAXIMUM_CONNECTIONS)
        ]
        time.sleep(0.1)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            HTTP.get(url)
        assert [each.recv(1) for each in idle] == [b""] * MAXIMUM_CONNECTIONS
        assert HTTP.get(url).status_code == 200


def test_metrics_port_in_use_fails_naming_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupFailure, match=rf"Port {port} .*set SHEAF_METRICS_PORT \(0 takes"):
            find("127.0.0.1", port, setting="SHEAF_METRICS_")


def test_unusable_metrics_host_fails_naming_the_setting() -> None:
    with pytest.raises(StartupFailure, match="SHEAF_METRICS_HOST is wrong"):
        find("300.1.2.3", 9464, setting="SHEAF_METRICS_")
