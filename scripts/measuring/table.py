"""Figures as tables of Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from scripts.measuring.endurance import LIMIT_MB, TOLERANCE
from scripts.measuring.growth import Axis
from scripts.measuring.running import Row
from scripts.measuring.session import SHEAF, STATIC
from scripts.measuring.workloads import STATIC as STATIC_WORKLOAD

FLAT = 1.3
"""Cost that has not grown by more than this is flat: what noise and the depth of an index make of it."""
MB_OF_MIB = 1.048576

Key = tuple[str, str, int]
"""Target, workload, connections."""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    """Write a table, of which the first `words` columns are words and the others figures.

    >>> print(markdown(["kind", "cost"], [["get", "1"]], words=1))
    | kind | cost |
    | --- | --: |
    | get | 1 |
    """
    marks = ["---"] * words + ["--:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows))


class Figures:
    """The medians of all rounds, CPU times as they are when the machine is at its fastest."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._fastest_us = min(row.pace_us for row in rows)
        self._rows: dict[Key, list[Row]] = {}
        for row in rows:
            self._rows.setdefault((row.target, row.workload, row.connections), []).append(row)

    def keys(self) -> list[Key]:
        """Return what was measured, in the order of the first round."""
        return list(self._rows)

    def has(self, key: Key) -> bool:
        """Return whether it was measured."""
        return key in self._rows

    def median(self, figure: str, key: Key) -> float:
        """Return the median of a figure over the rounds."""
        is_cpu = figure.endswith("_us")
        values: list[float] = [
            getattr(row, figure) * (self._fastest_us / row.pace_us if is_cpu else 1)
            for row in self._rows[key]
        ]
        return statistics.median(values)

    def errors(self, key: Key) -> int:
        """Return how many requests of all rounds were not answered rightly."""
        return sum(row.wrong for row in self._rows[key])

    def refused(self, key: Key) -> int:
        """Return how many requests of all rounds were refused because there were too many."""
        return sum(row.refused for row in self._rows[key])


DIGITS = {"per_second": 0, "p50_ms": 2, "p99_ms": 2, "server_us": 0, "mongod_us": 0, "memory_mib": 0}


def whole(rows: Sequence[Row]) -> str:
    """Write all figures of the standard measurement."""
    figures = Figures(rows)
    head = ["connections", "workload", "service", "requests/s", "p50 ms", "p99 ms"]
    head += ["server CPU µs", "mongod CPU µs", "worker MiB", "errors"]
    lines = []
    for key in sorted(figures.keys(), key=lambda key: key[2]):
        target, workload, connections = key
        cells = [f"{figures.median(figure, key):,.{digits}f}" for figure, digits in DIGITS.items()]
        lines.append([str(connections), workload, target, *cells, str(figures.errors(key))])
    return markdown(head, lines, words=3)


def summary(rows: Sequence[Row], connections: int) -> str:
    """Write the server's CPU time per request, in µs, and how many times Sheaf's the others take."""
    figures = Figures(rows)
    kinds = list(dict.fromkeys(row.workload for row in rows if row.workload != STATIC_WORKLOAD))
    names = list(dict.fromkeys(row.target for row in rows if row.target != STATIC))
    lines = []
    for name in names:
        keys = [(name, kind, connections) for kind in kinds]
        cells = [f"{figures.median('server_us', key):,.0f}" if figures.has(key) else "-" for key in keys]
        lines.append([name, *cells])
        if name != SHEAF:
            lines.append([f"times {SHEAF}", *(ratio(figures, key) for key in keys)])
    limit = (STATIC, STATIC_WORKLOAD, connections)
    if figures.has(limit):
        lines.append([STATIC, *([f"{figures.median('server_us', limit):,.0f}"] * len(kinds))])
    return markdown(["", *kinds], lines, words=1)


def ratio(figures: Figures, key: Key) -> str:
    """Return how many times the CPU time of Sheaf a service takes for the same."""
    own = (SHEAF, *key[1:])
    if not (figures.has(key) and figures.has(own)):
        return "-"
    return f"{figures.median('server_us', key) / figures.median('server_us', own):.1f}"


def growth(axis: Axis, rows: Sequence[Row]) -> str:
    """Write how cost grows along an axis, in CPU time, requests/s and p99; and whether it is flat."""
    figures = Figures(rows)
    kinds: dict[str, list[Key]] = {}
    for case in axis.cases:
        kinds.setdefault(case.workload, []).append((case.target.name, case.workload, case.connections))
    labels = [key[0] for key in next(iter(kinds.values()))]
    lines = []
    for kind, keys in kinds.items():
        times = cost(figures, keys[-1]) / cost(figures, keys[min(axis.base, len(keys) - 2)])
        lines.append([kind, *(cell(figures, key) for key in keys), f"{times:.2f}", verdict(axis, times)])
    return markdown([axis.name, *labels, "growth", "flat"], lines, words=1)


def cost(figures: Figures, key: Key) -> float:
    """Return the CPU time of one request in µs, the service's and MongoDB's."""
    return figures.median("server_us", key) + figures.median("mongod_us", key)


def cell(figures: Figures, key: Key) -> str:
    """Return the figures of one case in short."""
    server, mongod, second, p99 = (
        figures.median(name, key) for name in ("server_us", "mongod_us", "per_second", "p99_ms")
    )
    counts = {"errors": figures.errors(key), "refused": figures.refused(key)}
    more = "".join(f", {count:,} {name}" for name, count in counts.items() if count)
    return f"{server:.0f} + {mongod:.0f} µs, {second:,.0f}/s, {p99:.1f} ms{more}"


def verdict(axis: Axis, times: float) -> str:
    """Say whether cost was to be flat, and was."""
    if not axis.is_promised:
        return "not promised"
    return "yes" if times <= FLAT else "no"


def memory(rows: Sequence[Row]) -> str:
    """Write the memory of the worker after each step, and whether it holds what is promised."""
    total = 0
    lines = []
    for row in rows:
        total += row.requests
        cells = [
            f"{total:,}",
            f"{row.memory_mib * MB_OF_MIB:.0f}",
            f"{row.per_second:,.0f}",
            f"{row.p99_ms:.1f}",
        ]
        lines.append([*cells, str(row.wrong)])
    table = markdown(["requests", "worker MB", "requests/s", "p99 ms", "errors"], lines, words=0)
    first, last = rows[0].memory_mib, rows[-1].memory_mib
    largest_mb = max(row.memory_mib for row in rows) * MB_OF_MIB
    bound = "under" if largest_mb < LIMIT_MB else "NOT under"
    grown = "no growth" if last <= first * (1 + TOLERANCE) else "growth"
    return (
        f"{table}\n\nAt most {largest_mb:.0f} MB: {bound} {LIMIT_MB}. From the first step to the last "
        f"{last / first - 1:+.1%}: {grown} (within {TOLERANCE:.0%} it is none)."
    )
