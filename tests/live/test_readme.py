"""README.md tells the truth: its commands, run in order in a fresh clone, answer as it shows.

The clone is what git tracks, as it is in the working tree (what is not ignored, where there is no git). Its
`.venv` is a stand-in for the interpreter that runs the tests: installing is what made that one. Ports are
free ones, shown as README's 8000. Only errors are logged: a busy machine has warnings that README has not.
White space does not count; `…` stands for anything, a password included.
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
from typing import Any

import pytest

from models import DOCUMENTS
from service.database import Database
from service.registry import Registry
from tests.live.processes import DEADLINE_S, ROOT, environment

pytestmark = pytest.mark.alone

README = (ROOT / "README.md").read_text()
ADDRESS = "127.0.0.1:8000"
GAP = "…"
NOT_RUN = {
    "git clone https://github.com/sheaf-api/sheaf && cd sheaf": "the clone is made of this working tree",
    "docker compose up -d": "needs an engine; tests/test_deployment.py reads what it is given",
}
SIGN_IN = re.compile(r"Sign in as \S+ with password (\S+) ")
INTERPRETER = """#!/bin/sh
[ "$1 $2" = "-m pip" ] && exit 0
exec {python} "$@"
"""
SHEAF = """#!/bin/sh
PYTHONPATH={clone} exec {python} -c 'from service.cli import main; main()' "$@"
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of README, and what it says that comes of it."""

    command: str
    output: str


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(block: str) -> Iterator[Shown]:
    """The commands of a block: each goes on over lines until the shell has no open quote or backslash."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = next(n for n in range(1, len(lines) + 1) if is_whole("\n".join(lines[:n])))
        yield Shown("\n".join(lines[:count]), "\n".join(lines[count:]))


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


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what is tracked, set up."""
    made = tmp_path_factory.mktemp("clone") / "sheaf"
    for name in tracked():
        if (ROOT / name).exists():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, made / name)
    programs = made / ".venv/bin"
    programs.mkdir(parents=True)
    for name, text in {"python": INTERPRETER, "sheaf": SHEAF}.items():
        (programs / name).write_text(text.format(clone=made, python=sys.executable))
        (programs / name).chmod(0o755)
    return made


@contextmanager
def begun(command: str, clone: Path) -> Iterator[str]:
    """Run README's first command while the rest is run; what it tells until it serves."""
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
        told = process.stdout.readline()
        while not told.rpartition("\n  curl ")[2].startswith("http") or "/api/auth/login" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        yield told
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)


def run(wanted: list[str], clone: Path) -> list[str]:
    """Run commands in one shell, as somebody at a terminal does; return what each has told."""
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


def test_every_command_does_what_readme_shows(clone: Path) -> None:
    first, *rest = [
        shown for block in blocks("console") for shown in commands(block) if shown.command not in NOT_RUN
    ]
    with begun(first.command, clone) as told:
        port = re.search(r"^Listening on http://127\.0\.0\.1:(\d+)$", told, re.MULTILINE)
        password = SIGN_IN.search(told)
        assert port is not None, told
        assert password is not None, told
        address = f"127.0.0.1:{port[1]}"
        assert is_as_shown(first.output, told.replace(address, ADDRESS)), told
        wanted = [
            shown.command.replace(ADDRESS, address).replace(
                f'"password":"{GAP}"', f'"password":"{password[1]}"'
            )
            for shown in rest
        ]
        for shown, came in zip(rest, run(wanted, clone), strict=True):
            assert is_as_shown(shown.output, came.replace(address, ADDRESS)), (shown.command, came)


def test_the_clone_runs_its_own_code(clone: Path) -> None:
    told = run(["PYTHONPATH=. .venv/bin/python -c 'import service; print(service.__file__)'"], clone)
    assert told == [f"{clone}/service/__init__.py\n"]


async def test_the_class_that_readme_shows_describes_a_collection(database: Database) -> None:
    (source,) = blocks("python")
    defined: dict[str, Any] = {"__name__": "models.book"}
    exec(source, defined)  # noqa: S102 - README's own
    registry = Registry(database, [*DOCUMENTS, defined["Book"]], document_limit_bytes=2**20)
    async with registry.following():
        assert await registry.wait_until_loaded(DEADLINE_S)
        assert registry.get("books").source == "code"


@pytest.mark.parametrize(
    ("shown", "came", "expected"),
    [
        ('{"a": "…",\n "b": 1}', '{"a":"x","b":1}', True),
        ('{"a":"…","b":1}', '{"a":"x","b":12}', False),
        ("", "", True),
        ("", "curl: (7) no", False),
    ],
)
def test_outputs_are_compared_but_for_what_is_left_out(shown: str, came: str, expected: bool) -> None:
    assert is_as_shown(shown, came) is expected


def test_a_clone_has_the_files_that_are_not_ignored_where_there_is_no_git(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_git = set(tracked()) if (ROOT / ".git").exists() else None
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    without_git = set(tracked())
    assert {"README.md", "examples/movies.json", "scripts/dev", "service/cli/serve.py"} <= without_git
    assert not [name for name in without_git if name.endswith(".pyc")]
    assert with_git is None or {name for name in with_git if (ROOT / name).exists()} <= without_git
