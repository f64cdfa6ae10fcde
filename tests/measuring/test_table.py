"""Tables say what was measured: medians, scaled by how fast the machine was, and whether promises hold."""

import pytest

from scripts.measuring import table
from scripts.measuring.growth import Axis
from scripts.measuring.requests import Dialect
from scripts.measuring.running import Case, Row
from scripts.measuring.table import Figures
from scripts.measuring.targets import Target
from tests.measuring.rows import row

KEY = ("Sheaf", "get", 32)


def cells(text: str, line: int) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[line].strip("|").split("|")]


def test_figure_is_median_of_rounds() -> None:
    figures = Figures([row(round=number, p99_ms=value) for number, value in enumerate([3.0, 100.0, 4.0])])
    assert figures.median("p99_ms", KEY) == 4.0


def test_cpu_time_is_scaled_to_fastest_pace() -> None:
    rows = [row(server_us=200.0, pace_us=500.0), row(target="other", pace_us=250.0)]
    figures = Figures(rows)
    assert figures.median("server_us", KEY) == 100.0
    assert figures.median("per_second", KEY) == 5000.0


def test_summary_compares_each_service_with_sheaf() -> None:
    rows = [
        row(),
        row(target="one Motor call", server_us=350.0),
        row(target="static JSON", workload="static", server_us=50.0),
        row(workload="list", server_us=300.0),
    ]
    text = table.summary(rows, 32)
    assert cells(text, 0) == ["", "get", "list"]
    assert cells(text, 2) == ["Sheaf", "100", "300"]
    assert cells(text, 3) == ["one Motor call", "350", "-"]
    assert cells(text, 4) == ["times Sheaf", "3.5", "-"]
    assert cells(text, 5) == ["static JSON", "50", "50"]


def test_full_table_has_row_and_error_count_per_measurement() -> None:
    rows = [row(connections=32, errors={"status 503": 2, "timeout": 1}), row(connections=1)]
    text = table.whole(rows)
    assert cells(text, 2)[:3] == ["1", "get", "Sheaf"]
    assert cells(text, 3) == ["32", "get", "Sheaf", "5,000", "5.00", "9.00", "100", "20", "120", "3"]


def axis(*, is_promised: bool = True, base: int = 0) -> Axis:
    targets = [Target(f"{size} documents", "h", 1, Dialect(), []) for size in (10, 1000)]
    return Axis("documents", [Case(each, "get", 32) for each in targets], is_promised, base)


def sized(small_us: float, large_us: float) -> list[Row]:
    return [row(target="10 documents", server_us=small_us), row(target="1000 documents", server_us=large_us)]


@pytest.mark.parametrize(
    ("large_us", "is_promised", "verdict"),
    [(100.0, True, "yes"), (135.0, True, "yes"), (140.0, True, "no"), (300.0, False, "not promised")],
)
def test_growth_verdict_depends_on_tolerance_and_promise(
    large_us: float, is_promised: bool, verdict: str
) -> None:
    text = table.growth(axis(is_promised=is_promised), sized(100.0, large_us))
    assert cells(text, 2)[-1] == verdict
    assert cells(text, 2)[-2] == f"{(large_us + 20) / 120:.2f}"
    assert cells(text, 2)[1] == "100 + 20 µs, 5,000/s, 9.0 ms"


def test_single_case_is_compared_with_itself() -> None:
    only = Axis("documents", axis().cases[:1], base=1)
    assert cells(table.growth(only, sized(100.0, 100.0)), 2)[-2:] == ["1.00", "yes"]


def test_503_with_many_connections_counts_as_refused_not_wrong() -> None:
    crowd, few = (row(connections=each, errors={"status 503": 5, "timeout": 1}) for each in (512, 32))
    assert (crowd.refused, crowd.wrong) == (5, 1)
    assert (few.refused, few.wrong) == (0, 6)


@pytest.mark.parametrize(
    ("last_mib", "words"),
    [
        (121.0, "under 150. From the first step to the last +0.8%: no growth"),
        (149.0, "NOT under 150"),
        (130.0, ": growth"),
    ],
)
def test_memory_verdict_depends_on_limit_and_growth(last_mib: float, words: str) -> None:
    text = table.memory([row(memory_mib=120.0), row(memory_mib=last_mib)])
    assert words in text
    assert cells(text, 3)[0] == "2,000"
