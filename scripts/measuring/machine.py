"""Where it was measured, in one line."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from scripts.measuring.running import Row


def describe(client: "MongoClient[dict[str, Any]]") -> str:
    """Return the date, the processor, and the versions that matter."""
    today = datetime.now(UTC).date().isoformat()
    version = client.server_info()["version"]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{today}, {os.cpu_count()} cores of {processor()}, {python}, MongoDB {version}"


def processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def pace(rows: Sequence[Row]) -> str:
    """Say how steady the machine was, and what the generator took."""
    slowest = max(row.pace_us for row in rows) / min(row.pace_us for row in rows) - 1
    generator_us = sorted(row.generator_us for row in rows)[len(rows) // 2]
    return (
        f"The machine was up to {slowest:.0%} slower in some runs than in its fastest; CPU times are given "
        f"as at its fastest. The load generator took {generator_us:.0f} µs of CPU per request."
    )
