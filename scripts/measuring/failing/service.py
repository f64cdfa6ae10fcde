"""Sheaf as users run it: a supervisor with worker processes, on a port of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SERVE = (sys.executable, "-c", "from service.cli import main; main()", "serve")
STOP_S = 30.0
SECRET = "a-secret-of-one-measurement-and-of-nobody-else"  # noqa: S105 - of a service that ends with us


@dataclass(frozen=True, slots=True)
class Running:
    """A running service: where it listens, and the process of its supervisor."""

    url: str
    pid: int

    def workers(self) -> list[int]:
        """Return the ids of its worker processes, in their order."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sorted(int(child) for task in tasks for child in (task / "children").read_text().split())


@contextmanager
def served(uri: str, *, workers: int, log: Path) -> Iterator[Running]:
    """Serve from a MongoDB, with limits that count and are not met; stop it afterwards. Logs go to a file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHEAF_", "MONGODB_"))}
    chosen = {
        "MONGODB_URI": uri,
        "SHEAF_JWT_SECRET": SECRET,
        "SHEAF_LOG_LEVEL": "warning",
        "SHEAF_PORT": "0",
        "SHEAF_RATE_LIMIT_USER": "100000/minute",
        "SHEAF_WORKERS": str(workers),
    }
    with log.open("w") as errors, tempfile.TemporaryDirectory() as elsewhere:
        process = subprocess.Popen(  # noqa: S603 - our own command
            SERVE,
            env=kept | {"PYTHONPATH": str(ROOT)} | chosen,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=elsewhere,  # where there is no `.env`
        )
        try:
            yield Running(_url(process, log), process.pid)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _url(process: "subprocess.Popen[str]", log: Path) -> str:
    line = "" if process.stdout is None else process.stdout.readline()
    if not line.startswith("Listening on "):
        raise RuntimeError(f"the service did not start: {log.read_text()[-1000:]}")
    return line.removeprefix("Listening on ").strip()
