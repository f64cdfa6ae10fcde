"""One port tells of all workers, also of those that were killed."""

import os
import signal
import socket

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.deployment import SHEAF, children, deployed, statuses, variables, wait_until
from tests.live.processes import Service, finished

pytestmark = [pytest.mark.alone, pytest.mark.xdist_group("busy")]

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

ROUTE = "/api/{collection}/{document_id}"
PATH = "/api/products/0123456789abcdef01234567"
REQUESTS, REPLACEMENTS = "sheaf_http_requests_total", "sheaf_worker_replacements_total"
METRICS_TOKEN = "a-token-of-the-tests-and-of-nobody-else"


def metrics_url(service: Service) -> str:
    assert service.process.stdout is not None
    line = service.process.stdout.readline()
    assert line.startswith("Metrics are at http://127.0.0.1:"), line
    return line.removeprefix("Metrics are at ").rstrip("\n")


def scraped(client: httpx.Client, url: str) -> Series:
    answer = client.get(url)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if family.type in {"counter", "histogram"} and not family.name.startswith("process_")
    }


def total(series: Series, name: str, **labels: str) -> float:
    wanted = labels.items()
    return sum(value for (each, found), value in series.items() if each == name and wanted <= set(found))


def up(client: httpx.Client, url: str) -> int:
    return client.get(url).text.count("\nprocess_resident_memory_bytes{")


def test_killed_worker_loses_no_counts(mongodb_uri: str) -> None:
    changes = {"SHEAF_METRICS_PORT": "0", "SHEAF_METRICS_TOKEN": METRICS_TOKEN}
    with deployed(mongodb_uri, **changes) as service, httpx.Client(timeout=20) as client:
        url = metrics_url(service)
        assert client.get(url).status_code == 401
        client.headers["authorization"] = f"Bearer {METRICS_TOKEN}"
        assert statuses(service, PATH, 20) == {404}
        wait_until(lambda: total(scraped(client, url), REQUESTS, route=ROUTE) == 20)
        before = scraped(client, url)
        os.kill(children(service.process.pid)[-1], signal.SIGKILL)
        wait_until(lambda: total(scraped(client, url), REPLACEMENTS) == 1)
        between = scraped(client, url)
        wait_until(lambda: up(client, url) == 3)
        assert statuses(service, PATH, 20) == {404}
        wait_until(lambda: total(scraped(client, url), REQUESTS, route=ROUTE) == 40)
        after = scraped(client, url)
        for earlier, later in ((before, between), (between, after)):
            assert {key for key, value in earlier.items() if later[key] < value} == set()
        service.signal()
        assert service.code() == 0


def test_metrics_port_in_use_fails_with_one_sentence(mongodb_uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = finished(*SHEAF, variables=variables(mongodb_uri) | {"SHEAF_METRICS_PORT": port})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"sheaf: Port {port} on 127.0.0.1 is in use; stop what uses it,"
        " or set SHEAF_METRICS_PORT (0 takes a free one).\n"
    )
