"""Run a server under a watchdog: it ends when its owner does, however the owner ends.

Started by its path with `python -I -S`, hence the standard library alone. Its standard input is a pipe that
the owner holds open, its standard error is the server's log, and its output is one line: the server's process
id, or `errno` and the number of the error that kept the server from being executed.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
LOG = 2
LOG_LIMIT_BYTES = 16 * 1024 * 1024
GRACE_S = 20.0
CHECK_INTERVAL_S = 1.0


def main(owner: int, lock: int, command: list[str]) -> int:
    """Run the command until it ends or the owner process does; returns its exit status as a shell does."""
    woken = _wake_on_signals()
    try:
        child = subprocess.Popen(  # noqa: S603 - the command is the one that our own process composed
            command,
            stdin=subprocess.DEVNULL,
            stdout=LOG,
            stderr=LOG,
            pass_fds=(lock,),
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - this process has a single thread
        )
    except OSError as error:
        _say(f"errno {error.errno}")
        return 126
    _say(str(child.pid))
    while child.poll() is None and not _is_released(owner, woken):
        if os.fstat(LOG).st_size > LOG_LIMIT_BYTES:
            os.ftruncate(LOG, 0)
    os.ftruncate(lock, 0)  # tells a successor that the owner is gone and this server is stopping
    return _end(child)


def _wake_on_signals() -> int:
    """Make every signal end the wait below and do nothing else, so that only the owner ends the server."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    return woken


def _die_with_parent() -> Callable[[], None] | None:
    """Return what makes Linux end the server even if the watchdog is killed; the child calls it first."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _is_released(owner: int, woken: int) -> bool:
    """Wait a second or for an event; returns whether the owner let go, or died while forks keep the pipe."""
    ready, _, _ = select.select([0, woken], [], [], CHECK_INTERVAL_S)
    if woken in ready:
        os.read(woken, 512)
    return 0 in ready or os.getppid() != owner


def _end(child: "subprocess.Popen[bytes]") -> int:
    """End the server's whole process group: politely, then after the grace by force."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the owner reads it
    os.close(1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
