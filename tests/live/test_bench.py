"""`scripts/bench` measures everything from beginning to end, in little."""

import json
from pathlib import Path

from scripts.measuring.workloads import WORKLOADS
from tests.live.processes import finished

BENCH = ("-m", "scripts.measuring", "--quick")


def test_bench_measures_every_workload_and_its_baselines(mongodb_uri: str, tmp_path: Path) -> None:
    options = ("--mongodb", mongodb_uri, "--output", str(tmp_path))
    done = finished(*BENCH, *options)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "standard.json").read_text())
    services = ("Sheaf", "one Motor call")
    wanted = {(workload, service) for workload in WORKLOADS for service in services}
    assert {(row["workload"], row["target"]) for row in rows} == wanted | {("static", "static JSON")}
    for row in rows:
        assert row["errors"] == {}
        assert row["requests"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["memory_mib"] > 20
    assert sum(row["server_us"] for row in rows) > 0
    assert "| times Sheaf |" in done.stdout
    assert (tmp_path / "performance" / "requests.svg").read_text().startswith("<svg")
