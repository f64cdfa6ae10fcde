"""`scripts/bench`: measures Sheaf beside its limits and writes tables, charts and figures."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from scripts.measuring import running, session, table, workloads
from scripts.measuring.running import Row
from scripts.measuring.targets import Target


@click.command
@click.option("--workloads", "chosen", default=",".join(workloads.WORKLOADS), show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="Of each run that counts.")
@click.option("--lead", "lead_s", default=1.0, show_default=True, help="Seconds of load before each run.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--connections", default="1,32", show_default=True)
@click.option("--documents", default=20_000, show_default=True)
@click.option("--only", default="", help="Services to measure: sheaf,naive,static; all by default.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(".bench"), show_default=True)
def main(  # noqa: PLR0917 - click passes them by name
    chosen: str,
    seconds: float,
    lead_s: float,
    rounds: int,
    connections: str,
    documents: int,
    only: str,
    output: Path,
) -> None:
    """Measure."""
    wanted = chosen.split(",")
    output.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with session.opened() as opened:
        names = only.split(",") if only else ["sheaf", "naive", "static"]
        targets: list[Target] = [getattr(opened, name)() for name in names]
        for target in targets:
            target.seed(documents, with_indexes=target.name == session.NAIVE)
            target.check()
        for number in range(rounds):
            for workload in [*wanted, "static"]:
                for target in targets:
                    if workload in target.workloads:
                        for count in map(int, connections.split(",")):
                            row = running.measure(
                                target,
                                workload,
                                count,
                                seconds=seconds,
                                lead_s=lead_s,
                                mongod_pids=opened.mongod_pids,
                                number=number,
                            )
                            rows.append(row)
                            click.echo(
                                f"{workload:7} {target.name:15} {count:4} {row.per_second:8.0f}/s "
                                f"p50 {row.p50_ms:6.2f} p99 {row.p99_ms:6.2f} ms server {row.server_us:5.0f} "
                                f"mongod {row.mongod_us:4.0f} generator {row.generator_us:3.0f} µs "
                                f"pace {row.pace_us:.0f} {row.errors or ''}",
                                err=True,
                            )
    (output / "figures.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    click.echo(table.whole(rows))


if __name__ == "__main__":
    main(prog_name="scripts/bench")
