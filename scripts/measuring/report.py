"""What was measured, as pages: tables, charts, and both put into the documentation."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scripts.measuring import charts, machine, table
from scripts.measuring.growth import Axis
from scripts.measuring.plan import Plan
from scripts.measuring.running import Row
from scripts.measuring.session import STATIC
from scripts.measuring.table import Figures
from scripts.measuring.workloads import STATIC as STATIC_WORKLOAD

PAGE = Path("docs/explanation/performance.md")
CHARTS = Path("docs/explanation/performance")
COLUMNS = 100


def standard(rows: Sequence[Row], where: str, plan: Plan) -> tuple[str, dict[str, str]]:
    """Return the text and the charts of the standard measurement."""
    connections = max(row.connections for row in rows)
    text = f"""Measured on {where}: {plan.documents:,} products, {plan.rounds} rounds of {plan.seconds:g} s.
{machine.pace(rows)}

Server CPU per request in µs, {connections} connections, one worker:

{table.summary(rows, connections)}

![Server CPU per request](performance/requests.svg)

All figures, medians of the rounds:

{table.whole(rows)}"""
    return text, {"requests.svg": requests_chart(rows, connections)}


def requests_chart(rows: Sequence[Row], connections: int) -> str:
    """Draw the server's CPU time per request, of each service under each workload."""
    figures = Figures(rows)
    kinds = list(dict.fromkeys(row.workload for row in rows if row.workload != STATIC_WORKLOAD))
    series: dict[str, list[float | None]] = {}
    for name in dict.fromkeys(row.target for row in rows):
        keys = [(name, STATIC_WORKLOAD if name == STATIC else kind, connections) for kind in kinds]
        series[name] = [figures.median("server_us", key) if figures.has(key) else None for key in keys]
    return charts.bars(f"Server CPU per request, µs ({connections} connections)", kinds, series)


def growth(rows: Sequence[Row], axes: Sequence[Axis], where: str, plan: Plan) -> tuple[str, dict[str, str]]:
    """Return the text and the charts of how cost grows."""
    tables = "\n\n".join(table.growth(axis, rows) for axis in axes)
    names = {f"{axis.name.replace(' ', '-')}.svg": axis for axis in axes if axis.name in CHARTED}
    pictures = "\n".join(f"![Cost as {axis.name} grow](performance/{name})" for name, axis in names.items())
    text = f"""Measured on {where}, {plan.rounds} rounds of {plan.seconds:g} s. {machine.pace(rows)}

CPU of the service + CPU of MongoDB per request, requests/s, p99. *Growth* is the CPU time of the last
column, of both together, divided by that of the first (of {plan.growing_connections[1]} connections, where
those grow). Flat is what grows to no more than {table.FLAT} times.

{tables}

{pictures}"""
    return text, {name: growth_chart(axis, rows) for name, axis in names.items()}


CHARTED = ("documents", "connections")


def growth_chart(axis: Axis, rows: Sequence[Row]) -> str:
    """Draw the CPU time of service and MongoDB together along an axis, a line for each workload."""
    figures = Figures(rows)
    series: dict[str, list[float | None]] = {}
    for case in axis.cases:
        key = case.target.name, case.workload, case.connections
        series.setdefault(case.workload, []).append(table.cost(figures, key))
    labels = list(dict.fromkeys(case.target.name for case in axis.cases))
    return charts.lines("CPU per request, service and MongoDB, µs", labels, series)


def memory(rows: Sequence[Row], where: str) -> str:
    """Return the text of the memory of a worker."""
    return (
        f"Measured on {where}, mixed requests over {rows[0].connections} connections.\n\n{table.memory(rows)}"
    )


def write(output: Path, part: str, rows: Sequence[Row], text: str, drawings: dict[str, str]) -> None:
    """Write the figures as JSON, the tables as Markdown, and the charts."""
    folder = output / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    (output / f"{part}.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    (output / f"{part}.md").write_text(text + "\n")
    for name, drawing in drawings.items():
        (folder / name).write_text(drawing)


def publish(root: Path, part: str, text: str, drawings: dict[str, str]) -> None:
    """Put tables and charts into the documentation, between the marks of the part."""
    page = root / PAGE
    page.write_text(between(page.read_text(), part, wrapped(text)))
    (root / CHARTS).mkdir(exist_ok=True)
    for name, drawing in drawings.items():
        (root / CHARTS / name).write_text(drawing)


def wrapped(text: str) -> str:
    """Wrap the paragraphs of a text as the documentation has them; tables and pictures stay."""
    parts = text.split("\n\n")
    return "\n\n".join(
        part
        if part.startswith(("|", "!["))
        else textwrap.fill(part, COLUMNS, break_long_words=False, break_on_hyphens=False)
        for part in parts
    )


def between(page: str, part: str, text: str) -> str:
    r"""Return a page with other text between the marks of a part; raises ValueError without marks.

    >>> between("a\n<!-- measured: x -->\nold\n<!-- end: x -->\nb\n", "x", "new")
    'a\n<!-- measured: x -->\n\nnew\n\n<!-- end: x -->\nb\n'
    """
    first, last = f"<!-- measured: {part} -->", f"<!-- end: {part} -->"
    before, _, rest = page.partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise ValueError(f"The page has no place for '{part}'.")
    return f"{before}{first}\n\n{text}\n\n{last}{after}"
