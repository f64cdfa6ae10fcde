"""Services as processes of their own, set up as in production, and stopped at the end."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
STOP_S = 20
COMMAND_S = 60
NO_LIMIT = "1000000000/15minutes"
"""Requests are counted, and none is refused."""

CLI = ["-c", "from service.cli import main; main()"]
SHEAF = [*CLI, "serve", "--workers", "1"]
MODULE = ["-m", "scripts.measuring.serve"]
NAIVE = [*MODULE, "scripts.measuring.naive:create"]
STATIC = [*MODULE, "scripts.measuring.static:create"]


class ServiceFailedError(Exception):
    """A service, or a command of it, did not do what it is for."""


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    pid: int
    host: str
    port: int


def environment(uri: str, database: str) -> dict[str, str]:
    """Return the environment of a service in production that refuses nobody for asking often."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHEAF_", "MONGODB_"))}
    return kept | {
        "PYTHONPATH": str(ROOT),
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
def started(command: list[str], variables: dict[str, str], log: Path) -> Iterator[Running]:
    """Run a service of ours; its log is kept in a file. Raises ServiceFailedError if it does not come up."""
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, *command],
            env=variables,
            stdin=subprocess.DEVNULL,  # or SIGHUP would be a terminal's
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=tempfile.gettempdir(),  # where no `.env` is
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        url = urlsplit(line.removeprefix("Listening on ").strip())
        if url.hostname is None or url.port is None:
            raise ServiceFailedError(f"A service did not start:\n{log.read_text()}")
        yield Running(process.pid, url.hostname, url.port)
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


def command(variables: dict[str, str], *words: str, line: str = "") -> None:
    """Run a command of `sheaf` to its end, with a line on its standard input; raises ServiceFailedError."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *CLI, *words],
        env=variables,
        input=f"{line}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S,
        cwd=tempfile.gettempdir(),
    )
    if done.returncode:
        raise ServiceFailedError(f"sheaf {' '.join(words)}: {done.stderr}")
