"""Services as processes of their own: started, asked, stopped, never left behind."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

ROOT = Path(__file__).parents[2]
DEADLINE_S = 100


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, and what it has logged."""

    process: "subprocess.Popen[str]"
    url: str
    errors: IO[str]

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        """Wait for the end and give the exit code."""
        return self.process.wait(DEADLINE_S)

    def logged(self) -> str:
        self.errors.seek(0)
        return self.errors.read()


def environment(**variables: str) -> dict[str, str]:
    """Return an environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHEAF_", "MONGODB_"))}
    return kept | {"PYTHONPATH": str(ROOT)} | variables


@contextmanager
def started(
    *command: str,
    variables: Mapping[str, str] | None = None,
    errors: IO[str] | int = subprocess.DEVNULL,
    stdin: int = subprocess.DEVNULL,
) -> "Iterator[subprocess.Popen[str]]":
    """Start a Python command, in a directory without a `.env`; kill it afterwards."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, *command],
        env=environment(**(variables or {})),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        cwd=tempfile.gettempdir(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


@contextmanager
def running(
    *command: str, variables: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL
) -> Iterator[Service]:
    """Start a service and wait for its line `Listening on URL`, its first."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        started(*command, variables=variables, errors=errors, stdin=stdin) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        service = Service(process, line.removeprefix("Listening on ").rstrip("\n"), errors)
        assert line.startswith("Listening on http://"), service.logged()
        yield service


def fetched(url: str) -> httpx.Response:
    """Ask on a new connection, with all the time that a busy machine takes."""
    return httpx.get(url, timeout=DEADLINE_S)


def finished(*command: str, variables: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a Python command to its end."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *command],
        env=environment(**(variables or {})),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        cwd=tempfile.gettempdir(),
    )
