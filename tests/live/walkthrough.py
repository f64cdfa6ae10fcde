"""A page is followed as a reader would: a fresh clone, its commands in order, their output compared.

The clone is what git tracks, as it is in the working tree (what is not ignored, where there is no git). Its
`.venv` is a stand-in for the interpreter that runs the tests: installing is what made that one. Ports are
free ones, shown as the page's 8000. Only errors are logged: a busy machine has warnings that the page has
not. White space does not count; `…` stands for anything, a password included.
"""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live.processes import DEADLINE_S, ROOT, environment

ADDRESS = "127.0.0.1:8000"
GAP = "…"
SIGN_IN = re.compile(r"Sign in as \S+ with password (\S+) ")
LAST_LINE = re.compile(r"\n  (curl http\S+/api/auth/login|sheaf user create) ")
"""How the last line of what `sheaf dev` prints begins: at its first start, and at later ones."""
CLONING = "git clone https://github.com/sheaf-api/sheaf && cd sheaf"
INTERPRETER = """#!/bin/sh
[ "$1 $2" = "-m pip" ] && exit 0
exec {python} "$@"
"""
SHEAF = """#!/bin/sh
PYTHONPATH={clone} exec {python} -c 'from service.cli import main; main()' "$@"
"""


@dataclass(frozen=True, slots=True)
class ShellExample:
    """A command of a page, and what it says that comes of it."""

    command: str
    output: str


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def commands(block: str) -> Iterator[ShellExample]:
    """The commands of a block: each goes on over lines until the shell has no open quote or backslash."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = next(n for n in range(1, len(lines) + 1) if is_whole("\n".join(lines[:n])))
        yield ShellExample("\n".join(lines[:count]), "\n".join(lines[count:]))


def is_whole(command: str) -> bool:
    if command.endswith("\\"):
        return False
    checked = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)  # noqa: S607
    return checked.returncode == 0 and not checked.stderr


def is_as_shown(shown: str, came: str) -> bool:
    parts = ("".join(part.split()) for part in shown.split(GAP))
    return re.fullmatch(".*".join(map(re.escape, parts)), "".join(came.split())) is not None


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        return [name for name in listed.stdout.decode().split("\0") if name]
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    return [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if path.is_file() and not any(path.match(each) for each in ignored) and not ignored & set(path.parts)
    ]


def make_clone(made: Path) -> None:
    """Copy what is tracked to a directory, and set it up."""
    for name in tracked():
        if (ROOT / name).exists():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, made / name)
    programs = made / ".venv/bin"
    programs.mkdir(parents=True)
    for name, text in {"python": INTERPRETER, "sheaf": SHEAF}.items():
        (programs / name).write_text(text.format(clone=made, python=sys.executable))
        (programs / name).chmod(0o755)


@contextmanager
def begun(command: str, clone: Path) -> Iterator[str]:
    """Run the command that serves while others are run; yield what it prints until it serves."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        ["bash", "-c", command],  # noqa: S607
        cwd=clone,
        env=environment(SHEAF_PORT="0", SHEAF_WORKERS="1", SHEAF_LOG_LEVEL="error", PYTHONPATH=""),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        printed = process.stdout.readline()
        while not LAST_LINE.search(printed):
            line = process.stdout.readline()
            assert line, printed
            printed += line
        yield printed
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)


def run(wanted: list[str], clone: Path) -> list[str]:
    """Run commands in one shell, as somebody at a terminal does; return what each has printed."""
    script = "".join(f"{command}\nprintf '\\0'\n" for command in wanted)
    finished = subprocess.run(
        ["bash"],  # noqa: S607
        input=script,
        cwd=clone,
        env=environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    outputs = finished.stdout.split("\0")[:-1]
    assert len(outputs) == len(wanted), finished.stderr
    return outputs
