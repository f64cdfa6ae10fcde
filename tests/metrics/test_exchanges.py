"""Requests are counted by what we choose to call them, never by what clients do."""

import pytest

from service.runtime.metrics.cells import MAXIMUM_ROWS, RECEIVED_BYTES, SENT_BYTES, SUM_S, Cells, Exchanges
from service.runtime.metrics.families import DURATIONS_S


@pytest.fixture
def cells() -> Cells:
    return Cells()


@pytest.fixture
def exchanges(cells: Cells) -> Exchanges:
    return Exchanges(cells)


def rows(cells: Cells) -> dict[tuple[str, ...], list[float]]:
    return {key[1:]: list(values) for key, values in cells.read()}


def test_request_is_counted_with_duration_and_bytes(cells: Cells, exchanges: Exchanges) -> None:
    exchanges.note(("/api/{collection}", "POST", 201), 0.02, 300, 70)
    exchanges.note(("/api/{collection}", "POST", 201), 0.5, 200, 30)
    (row,) = rows(cells).values()
    assert list(rows(cells)) == [("POST", "/api/{collection}", "201")]
    assert row[SUM_S] == pytest.approx(0.52)
    assert (row[SENT_BYTES], row[RECEIVED_BYTES]) == (500, 100)
    assert {DURATIONS_S[place]: count for place, count in enumerate(row[:SUM_S]) if count} == {
        0.025: 1,
        0.5: 1,
    }


@pytest.mark.parametrize(
    ("duration_s", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (10.0, 12), (11.0, 13)]
)
def test_bucket_includes_its_bound(
    cells: Cells, exchanges: Exchanges, duration_s: float, bucket: int
) -> None:
    exchanges.note((None, "GET", 404), duration_s, 0, 0)
    (row,) = rows(cells).values()
    assert row[bucket] == 1


def test_unknown_methods_are_counted_together(cells: Cells, exchanges: Exchanges) -> None:
    for number in range(5000):
        exchanges.note((None, f"X{number}", 405), 0.001, 0, 0)
    assert list(rows(cells)) == [("other", "none", "405")]
    assert sum(rows(cells)["other", "none", "405"][:SUM_S]) == 5000


def test_requests_beyond_the_rows_are_counted_together(cells: Cells, exchanges: Exchanges) -> None:
    for number in range(MAXIMUM_ROWS + 50):
        exchanges.note((f"/{number}", "GET", 200), 0.001, 0, 0)
    assert len(rows(cells)) == MAXIMUM_ROWS + 1
    assert sum(rows(cells)["other", "other", "other"][:SUM_S]) == 50


def test_successor_continues_request_counts(cells: Cells) -> None:
    for _ in range(2):
        Exchanges(cells).note(("/docs", "GET", 200), 0.001, 10, 0)
    assert rows(cells)["GET", "/docs", "200"][SENT_BYTES] == 20
