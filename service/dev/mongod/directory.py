"""The data directory of a private MongoDB: its files, who may read them, and who holds it."""

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.dev.mongod.search import EMPTY_CONFIGURATION, PROGRAMS, Kind, Server
from service.kit.errors import StartupFailure

if sys.platform != "win32":
    import fcntl

# A server whose owner was killed needs a moment to notice it, and longer to write its data out.
PATIENCE_WITH_OWNER_S = 2.0
PATIENCE_WITH_STOPPING_SERVER_S = 30.0
CHOOSE_ANOTHER = "choose another with --data or SHEAF_DATA"


@dataclass(frozen=True, slots=True)
class Home:
    """The absolute path of a data directory, and the names in it."""

    directory: Path

    @property
    def data(self) -> Path:
        """The server's own files."""
        return self.directory / "mongodb"

    @property
    def log(self) -> Path:
        """What the running server has written; the log before it is `mongodb.log.1`."""
        return self.directory / "mongodb.log"

    @property
    def lock(self) -> Path:
        """The file whose lock the running server holds, containing the owner's process id."""
        return self.directory / "mongodb.lock"

    @property
    def port(self) -> Path:
        """The file that remembers the port of the last start."""
        return self.directory / "mongodb.port"


def prepare(directory: Path, server: Server) -> Home:
    """Make the directory private to this user, and ready for a server of that kind.

    Raises StartupFailure when it cannot be made or written, or holds another kind of server's data.
    """
    home = Home(directory.absolute())
    try:
        home.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.data.mkdir(mode=0o700, exist_ok=True)
        home.data.chmod(0o700)
        if server.kind == "secantus":
            (home.data / EMPTY_CONFIGURATION).touch()
        maker = _maker(home.data)
    except (FileExistsError, NotADirectoryError):
        raise StartupFailure(
            f"The data directory {directory} cannot be made, because a file is in its way; {CHOOSE_ANOTHER}."
        ) from None
    except OSError as error:
        raise _not_usable(directory, error) from None
    if maker not in {None, server.kind}:
        raise StartupFailure(
            f"The data directory {directory} was made by `{PROGRAMS[maker]}` and `{PROGRAMS[server.kind]}`"
            f" cannot read it; install `{PROGRAMS[maker]}`, or {CHOOSE_ANOTHER}."
        )
    return home


def claim(home: Home) -> int:
    """Lock the directory for this process and give the descriptor that carries the lock.

    The lock lasts while any process has that descriptor open, so it goes to the server with it.
    Raises StartupFailure naming the owner when another server is using the directory.
    """
    try:
        lock = os.open(home.lock, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise _not_usable(home.directory, error) from None
    try:
        _wait_for(lock, home)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except BaseException as error:
        os.close(lock)
        if isinstance(error, OSError):
            raise _not_usable(home.directory, error) from None
        raise
    return lock


def open_log(home: Home) -> int:
    """Begin a new log, keeping the one before, and give the descriptor to append to.

    Raises StartupFailure when the log cannot be written.
    """
    try:
        if home.log.exists():
            home.log.replace(home.log.with_suffix(".log.1"))
        return os.open(home.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    except OSError as error:
        raise _not_usable(home.directory, error) from None


def remembered_port(home: Home) -> int:
    """Return the port that the last start used, so that tools find the server again; 0 if there is none."""
    try:
        port = int(home.port.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
    return port if 0 < port < 65536 else 0  # noqa: PLR2004 - ports have 16 bits


def is_claimed(home: Home) -> bool:
    """Return whether a server runs on the directory at this moment."""
    try:
        lock = os.open(home.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def remember_port(home: Home, port: int) -> None:
    """Keep the port for the next start, if the directory can still be written."""
    with suppress(OSError):
        home.port.write_text(str(port), encoding="ascii")


def _wait_for(lock: int, home: Home) -> None:
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
        else:
            return
        patience = PATIENCE_WITH_OWNER_S if owner else PATIENCE_WITH_STOPPING_SERVER_S
        if time.monotonic() - began > patience:
            by = f"by process {owner}; stop it" if owner else "by a server that is stopping; wait for it"
            raise StartupFailure(f"The data directory {home.directory} is in use {by}, or {CHOOSE_ANOTHER}.")
        time.sleep(0.02)


def _maker(data: Path) -> Kind | None:
    """Return which kind of server made the data, from the names of the files that only it makes."""
    if any(data.glob("secantus_*.wt")):
        return "secantus"
    return "mongod" if (data / "_mdb_catalog.wt").exists() else None


def _not_usable(directory: Path, error: OSError) -> StartupFailure:
    return StartupFailure(
        f"The data directory {directory} cannot be used ({error.strerror or error});"
        f" make it writable for this user, or {CHOOSE_ANOTHER}."
    )
