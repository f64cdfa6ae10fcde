"""Why a server ended while it was starting, in one sentence."""

import errno
import re
import signal
from pathlib import Path

from service.dev.mongod.search import Server

OTHERWISE = "put another `mongod` on PATH, or set MONGODB_URI"
LOG_END_BYTES = 65536
PORT_TAKEN = "Address already in use"

NOT_EXECUTABLE = {
    errno.ENOEXEC: "it is not a program for this kind of processor",
    errno.ENOENT: "the C library that it was built for (glibc) or its interpreter is missing",
    errno.EACCES: "it may not be executed from where it is",
}

# What a log says, and the cause in words of ours; the first that matches wins.
CANNOT_RUN = (
    (r"loading shared libraries: ([^\s:]+)", "the library {0} is missing: install it (libcurl 4, OpenSSL 3)"),
    (r"Library not loaded: (\S+)", "the library {0} is missing: install it"),
    (r"version `([A-Z]+_[\d.]+)' not found", "it needs a newer system library ({0})"),
    (
        r"Unknown --setParameter|[Ii]llegal --setParameter|unrecognised option",
        "MongoDB 5.0 or later is needed, and it knows too few options",
    ),
    (r"No module named '([\w.]+)'", "the Python package {0} is missing: install it"),
)
CANNOT_START = (
    (r"No space left on device", "the disk is full; make room"),
    (
        r"featureCompatibilityVersion|Wrong mongod version|[Uu]nsupported WiredTiger file version",
        "another version of MongoDB made its data; use that one, or choose another directory with --data",
    ),
    (
        r"Permission denied|Operation not permitted",
        "files in it are not writable for this user; make them so",
    ),
)


def of_execution(server: Server, number: int) -> str:
    """Say why the program could not be executed, from the error's number.

    >>> of_execution(Server("mongod", Path("/opt/mongod")), errno.EACCES).partition("; ")[0]
    '/opt/mongod cannot run here: it may not be executed from where it is'
    """
    cause = NOT_EXECUTABLE.get(number, errno.errorcode.get(number, str(number)))
    return f"{server.path} cannot run here: {cause}; {OTHERWISE}."


def of_end(server: Server, status: int, log: Path, data: Path) -> str:
    """Say why the program ended, from its exit status (as a shell gives it) and the end of its log."""
    text = log_end(log)
    for pattern, cause in CANNOT_RUN:
        if found := re.search(pattern, text):
            return f"{server.path} cannot run here: {cause.format(*found.groups())}, {OTHERWISE}."
    if status == 128 + signal.SIGILL:
        return (
            f"{server.path} cannot run here: this processor lacks instructions it needs (AVX); {OTHERWISE}."
        )
    for pattern, cause in CANNOT_START:
        if re.search(pattern, text):
            return f"MongoDB cannot start in {data}: {cause}; its log is {log}."
    return f"MongoDB ended while starting in {data} (exit status {status}); its log {log} says why."


def log_end(log: Path) -> str:
    """Return the end of the log, at most 64 KiB of it."""
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - LOG_END_BYTES))
        return lines.read().decode(errors="replace")
