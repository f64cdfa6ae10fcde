"""Rows as measurements give them, with figures that tests choose."""

from dataclasses import replace
from typing import Any

from scripts.measuring.running import Row

ROW = Row(
    round=0,
    workload="get",
    target="Sheaf",
    connections=32,
    requests=1000,
    errors={},
    per_second=5000.0,
    p50_ms=5.0,
    p99_ms=9.0,
    server_us=100.0,
    mongod_us=20.0,
    generator_us=15.0,
    memory_mib=120.0,
    pace_us=250.0,
)


def row(**changes: Any) -> Row:
    return replace(ROW, **changes)
