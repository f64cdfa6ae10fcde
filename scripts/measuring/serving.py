"""Services as processes of their own, set up as in production, and stopped at the end."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
STOP_S = 20
NO_LIMIT = "1000000000/15minutes"
"""Requests are counted, and none is refused."""

SHEAF = ["-c", "from service.cli import main; main()", "serve", "--workers", "1"]
MODULE = ["-m", "scripts.measuring.serve"]
NAIVE = [*MODULE, "scripts.measuring.naive:create"]
STATIC = [*MODULE, "scripts.measuring.static:create"]


class ServiceFailedError(Exception):
    """A service did not start."""


def settings(uri: str, database: str) -> dict[str, str]:
    """Give the settings of a service in production that nobody is refused by."""
    return {
        "MONGODB_URI": uri,
        "SHEAF_DATABASE": database,
        "SHEAF_ENVIRONMENT": "production",
        "SHEAF_JWT_SECRET": secrets.token_hex(32),
        "SHEAF_ACCESS_TOKEN_TTL_S": "86400",  # one sign-in for the whole run
        "SHEAF_PORT": "0",
        "SHEAF_LOG_LEVEL": "warning",
        "SHEAF_RATE_LIMIT": "on",
        "SHEAF_RATE_LIMIT_ANONYMOUS": NO_LIMIT,
        "SHEAF_RATE_LIMIT_USER": NO_LIMIT,
    }


@contextmanager
def started(command: list[str], uri: str, database: str, log: Path) -> Iterator[tuple[int, str, int]]:
    """Run a service of ours and give its process id, host and port; its log is kept in a file.

    Raises ServiceFailedError if it does not come up.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHEAF_", "MONGODB_"))}
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, *command],
            env={**kept, "PYTHONPATH": str(ROOT), **settings(uri, database)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=tempfile.gettempdir(),  # where no `.env` is
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        url = urlsplit(line.removeprefix("Listening on ").strip())
        if url.hostname is None or url.port is None:
            raise ServiceFailedError(f"It did not start:\n{log.read_text()}")
        yield process.pid, url.hostname, url.port
    finally:
        stop(process)


def stop(process: "subprocess.Popen[str]") -> None:
    """End a service: cleanly, or else by force."""
    process.terminate()
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
