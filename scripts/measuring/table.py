"""Figures as tables of Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from scripts.measuring.running import Row

FIGURES = ("per_second", "p50_ms", "p99_ms", "server_us", "mongod_us", "memory_mib")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 2) -> str:
    """Write a table, of which the first `words` columns are words and the others figures."""
    marks = ["---"] * words + ["--:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows))


def fastest_us(rows: Sequence[Row]) -> float:
    """Give how fast the machine was at its best."""
    return min(row.pace_us for row in rows)


def median(rows: Sequence[Row], figure: str, best_us: float) -> float:
    """Give the median of a figure; CPU time as it would be had the machine been at its best."""
    is_time = figure.endswith("_us")
    values: list[float] = [getattr(row, figure) * (best_us / row.pace_us if is_time else 1) for row in rows]
    return statistics.median(values)


def groups(rows: Sequence[Row]) -> dict[tuple[int, str, str], list[Row]]:
    """Give the rows of all rounds together, by connections, workload and target."""
    found: dict[tuple[int, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.connections, row.workload, row.target), []).append(row)
    return found


def whole(rows: Sequence[Row]) -> str:
    """Write all figures: medians over the rounds."""
    best_us = fastest_us(rows)
    head = ["connections", "workload", "service", "requests/s", "p50 ms", "p99 ms"]
    head += ["server CPU µs", "mongod CPU µs", "memory MiB", "errors"]
    lines = []
    for (connections, workload, target), group in groups(rows).items():
        cells = [f"{median(group, figure, best_us):,.{digits}f}" for figure, digits in DIGITS.items()]
        errors = sum(sum(row.errors.values()) for row in group)
        lines.append([str(connections), workload, target, *cells, str(errors)])
    return markdown(head, lines, words=3)


DIGITS = {"per_second": 0, "p50_ms": 2, "p99_ms": 2, "server_us": 0, "mongod_us": 0, "memory_mib": 0}
