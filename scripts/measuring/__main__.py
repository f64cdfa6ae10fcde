"""`scripts/bench`: measures Sheaf beside its limits and writes tables, charts and figures."""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from scripts.measuring import endurance, growth, machine, report, session, standard, workloads
from scripts.measuring.plan import GROWTH, QUICK, Plan
from scripts.measuring.running import Row
from scripts.measuring.serving import ROOT, ServiceFailedError
from scripts.measuring.targets import WrongAnswerError
from service.kit.errors import StartupFailure

PARTS = ("standard", "growth", "memory")
TERMINATED = 128 + signal.SIGTERM
SERVICES = ("sheaf", "naive", "static")


class Several(click.ParamType[tuple[str, ...]]):
    """Words of a list, with commas between."""

    name = "list"

    def __init__(self, *known: str) -> None:
        self._known = known

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Read the list; every word must be known."""
        words = tuple(value) if isinstance(value, tuple) else tuple(str(value).split(","))
        for word in words:
            if word not in self._known if self._known else not word.isdigit():
                self.fail(f"'{word}' is not one of {', '.join(self._known) or 'the numbers'}", param, ctx)
        return words


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--quick", is_flag=True, help="Measure so little that it only shows that it works.")
@click.option("--workloads", type=Several(*workloads.WORKLOADS), help="Of get,list,filter,create,mixed,304.")
@click.option("--connections", type=Several(), help="How many at a time, for example 1,32.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), help="Of each run that counts.")
@click.option("--lead", "lead_s", type=click.FloatRange(0, 60), help="Seconds of load before each of them.")
@click.option(
    "--rounds", type=click.IntRange(1, 100), help="Runs of each, in turns; the tables have medians."
)
@click.option("--documents", type=click.IntRange(100, 10_000_000), help="Products that are there.")
@click.option("--services", type=Several(*SERVICES), default=SERVICES, help="Of sheaf,naive,static.")
@click.option(
    "--against", multiple=True, help="A service that runs already; docs/explanation/performance.md tells how."
)
@click.option("--mongodb", help="URI of a MongoDB to use in place of a private one.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(".bench"), show_default=True)
@click.option("--publish", is_flag=True, help="Put tables and charts into docs/explanation/performance.md.")
def main(
    *,
    parts: tuple[str, ...],
    quick: bool,
    services: tuple[str, ...],
    against: tuple[str, ...],
    mongodb: str | None,
    output: Path,
    publish: bool,
    **chosen: Any,
) -> None:
    """Measure what requests cost: `standard` (8 minutes), `growth` (12), `memory` (5); standard if not said.

    Everything runs on this machine: a private MongoDB, the service with one worker and the settings of
    production, its two limits, and the load generator. Exits with 1 if any request was not answered rightly.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # what was started ends first
    wrong = 0
    for part in parts or ("standard",):
        plan = planned(GROWTH if part == "growth" else Plan(), chosen, quick=quick)
        try:
            with session.opened(mongodb, output / "logs") as opened:
                rows, text, drawings = measured(part, opened, plan, services, against)
        except (StartupFailure, ServiceFailedError, WrongAnswerError) as failure:
            sys.exit(f"scripts/bench: {failure}")
        report.write(output, part, rows, text, drawings)
        wrong += (wrong_here := sum(row.wrong for row in rows))
        if publish and not wrong_here:
            report.publish(ROOT, part, text, drawings)
        click.echo(text)
    if wrong:
        sys.exit(
            f"scripts/bench: {wrong} requests were not answered rightly; nothing of theirs is published."
        )


def planned(plan: Plan, chosen: dict[str, Any], *, quick: bool) -> Plan:
    """Return the plan as the options change it."""
    changes = {name: value for name, value in chosen.items() if value is not None}
    if "connections" in changes:
        changes["connections"] = tuple(map(int, changes["connections"]))
    return replace(QUICK if quick else plan, **changes)


def measured(
    part: str, opened: session.Session, plan: Plan, services: tuple[str, ...], against: tuple[str, ...]
) -> tuple[list[Row], str, dict[str, str]]:
    """Measure one part; give the figures, the text and the charts."""
    where = machine.describe(opened.client)
    if part == "growth":
        axes, rows = growth.measure(opened, plan, say, tell)
        return rows, *report.growth(rows, axes, where, plan)
    if part == "memory":
        rows = endurance.measure(opened, plan, tell)
        return rows, report.memory(rows, where), {}
    rows = standard.measure(opened, plan, services, against, tell)
    return rows, *report.standard(rows, where, plan)


def say(text: str) -> None:
    """Print what goes on."""
    click.echo(text, err=True)


def tell(row: Row) -> None:
    """Print what a run measured."""
    say(
        f"{row.workload:7} {row.target:22} {row.connections:3} connections {row.per_second:7,.0f}/s "
        f"p50 {row.p50_ms:6.2f} p99 {row.p99_ms:7.2f} ms, CPU µs: service {row.server_us:5.0f} "
        f"mongod {row.mongod_us:4.0f} generator {row.generator_us:3.0f}, pace {row.pace_us:3.0f} "
        f"{row.errors or ''}"
    )


if __name__ == "__main__":
    main(prog_name="scripts/bench")
