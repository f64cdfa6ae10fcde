"""Requests are counted when they are over, however that came."""

import pytest
from litestar.types import Receive, Scope, Send

from service.http.pipeline.measuring import Measuring
from service.http.problems import Failures
from service.runtime.metrics import Cells, Exchanges
from service.runtime.metrics.cells import RECEIVED_BYTES, SENT_BYTES, SUM_S
from tests.middleware.apps import answering, client_of, echoing, get, raising, wrap


@pytest.fixture
def cells() -> Cells:
    return Cells()


@pytest.fixture
def measuring(cells: Cells) -> Measuring:
    return Measuring(Exchanges(cells))


def counted(cells: Cells) -> dict[tuple[str, ...], int]:
    return {key[1:]: int(sum(values[:SUM_S])) for key, values in cells.read()}


async def test_request_without_route_is_counted_as_none(cells: Cells, measuring: Measuring) -> None:
    for path in ("/api/films", "/nothing", "/a/b?c=d"):
        await get(wrap(answering(status=404), measuring), path)
    assert counted(cells) == {("GET", "none", "404"): 3}


async def test_request_is_counted_by_route_template(cells: Cells, measuring: Measuring) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = "/api/{collection}"
        await answering()(scope, receive, send)

    for path in ("/api/films", "/api/books"):
        await get(wrap(app, measuring), path)
    assert counted(cells) == {("GET", "/api/{collection}", "200"): 2}


async def test_bytes_of_request_and_response_are_counted(cells: Cells, measuring: Measuring) -> None:
    async with client_of(wrap(echoing(), measuring)) as client:
        await client.post("/api/films", content=b"x" * 1000)
    ((_, values),) = cells.read()
    assert (values[RECEIVED_BYTES], values[SENT_BYTES]) == (1000, 1000)
    assert 0 < values[SUM_S] < 5


@pytest.mark.parametrize("length", ["", "x", "-1", "9" * 40, "²"])
async def test_invalid_content_length_counts_no_bytes(
    cells: Cells, measuring: Measuring, length: str
) -> None:
    async with client_of(wrap(answering(status=400), measuring)) as client:
        await client.post("/api/films", headers=[(b"content-length", length.encode("latin-1"))])
    ((_, values),) = cells.read()
    assert values[RECEIVED_BYTES] == 0


async def test_failed_request_is_counted(cells: Cells, measuring: Measuring) -> None:
    await get(wrap(raising(ZeroDivisionError()), measuring, Failures()))
    assert counted(cells) == {("GET", "none", "500"): 1}


async def test_aborted_request_is_counted_as_499(cells: Cells, measuring: Measuring) -> None:
    with pytest.raises(ConnectionError):
        await get(wrap(raising(ConnectionError()), measuring))
    assert counted(cells) == {("GET", "none", "499"): 1}
