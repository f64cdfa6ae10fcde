"""README.md tells the truth: its commands, run in order in a fresh clone, answer as it shows."""

import re
from pathlib import Path
from typing import Any

import pytest

from models import DOCUMENTS
from service.collections.registry import Registry
from service.storage.database import Database
from tests.live.processes import DEADLINE_S, ROOT
from tests.live.walkthrough import (
    ADDRESS,
    CLONING,
    GAP,
    SIGN_IN,
    begun,
    blocks,
    commands,
    is_as_shown,
    make_clone,
    run,
    tracked,
)

pytestmark = pytest.mark.alone

README = (ROOT / "README.md").read_text()
NOT_RUN = {
    CLONING: "the clone is made of this working tree",
    "docker compose up -d": "needs an engine; tests/test_deployment.py reads what it is given",
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what is tracked, set up."""
    made = tmp_path_factory.mktemp("clone") / "sheaf"
    make_clone(made)
    return made


def test_every_readme_command_prints_what_readme_shows(clone: Path) -> None:
    first, *rest = [
        shown
        for block in blocks(README, "console")
        for shown in commands(block)
        if shown.command not in NOT_RUN
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


def test_clone_runs_its_own_code(clone: Path) -> None:
    told = run(["PYTHONPATH=. .venv/bin/python -c 'import service; print(service.__file__)'"], clone)
    assert told == [f"{clone}/service/__init__.py\n"]


async def test_class_shown_in_readme_defines_collection(database: Database) -> None:
    (source,) = blocks(README, "python")
    defined: dict[str, Any] = {"__name__": "models.book"}
    exec(source, defined)  # noqa: S102 - README's own
    registry = Registry(database, [*DOCUMENTS, defined["Book"]], document_limit_bytes=2**20)
    async with database.stream.running(), registry.following():
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
def test_output_comparison_ignores_only_ellipses(shown: str, came: str, expected: bool) -> None:
    assert is_as_shown(shown, came) is expected


def test_clone_without_git_contains_all_files_not_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_git = set(tracked()) if (ROOT / ".git").exists() else None
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    without_git = set(tracked())
    assert {"README.md", "examples/movies.json", "scripts/dev", "service/cli/serve.py"} <= without_git
    assert not [name for name in without_git if name.endswith(".pyc")]
    assert with_git is None or {name for name in with_git if (ROOT / name).exists()} <= without_git
