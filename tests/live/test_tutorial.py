"""The tutorials are true: each is followed from its first line to its last in a fresh clone."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.processes import ROOT
from tests.live.walkthrough import (
    ADDRESS,
    CLONING,
    GAP,
    SIGN_IN,
    ShellExample,
    begun,
    commands,
    is_as_shown,
    make_clone,
    run,
)

pytestmark = pytest.mark.alone

FIRST = ROOT / "docs/tutorial/your-first-api.md"
PAGES = sorted(ROOT.glob("docs/tutorial/*.md"))
NOT_RUN = (CLONING, "python3 -m http.server ")
"""How commands begin that are left out: the clone is made of this working tree, and there is no browser."""

BLOCK = re.compile(
    r'^```(console|python|html|diff)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL
)
PASSWORD = f'"password": "{GAP}"'


@dataclass(frozen=True, slots=True)
class FileEdit:
    """A file that the reader writes, or lines that they add to one."""

    path: str
    text: str
    is_diff: bool

    def make(self, clone: Path) -> None:
        file = clone / self.path
        if not self.is_diff:
            file.parent.mkdir(exist_ok=True)
            file.write_text(self.text)
            return
        lines = self.text.splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
        after = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
        assert file.read_text().count(before) == 1, before
        file.write_text(file.read_text().replace(before, after))


def steps(page: Path) -> Iterator[ShellExample | FileEdit]:
    for language, path, text in BLOCK.findall(page.read_text()):
        if language == "console":
            yield from commands(text)
        else:
            yield FileEdit(path, text, is_diff=language == "diff")


def follow(waiting: list[ShellExample], clone: Path, address: str, password: str) -> None:
    """Run commands, and compare what they print with what the page shows."""
    wanted = [
        shown.command.replace(ADDRESS, address).replace(PASSWORD, f'"password": "{password}"')
        for shown in waiting
    ]
    for shown, came in zip(waiting, run(wanted, clone), strict=True):
        assert is_as_shown(shown.output, came.replace(address, ADDRESS)), (shown.command, came)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_reader_who_follows_tutorial_gets_what_it_shows(tmp_path: Path, page: Path) -> None:
    clone = tmp_path / "sheaf"
    make_clone(clone)
    address, password = ADDRESS, ""
    waiting: list[ShellExample] = []
    with ExitStack() as serving:
        for step in steps(page):
            if isinstance(step, FileEdit):
                step.make(clone)
            elif step.command.startswith("scripts/dev"):
                follow(waiting, clone, address, password)
                waiting = []
                serving.close()
                printed = serving.enter_context(begun(step.command, clone))
                port = re.search(r"^Listening on http://127\.0\.0\.1:(\d+)$", printed, re.MULTILINE)
                assert port is not None, printed
                address = f"127.0.0.1:{port[1]}"
                assert is_as_shown(step.output, printed.replace(address, ADDRESS)), printed
                found = SIGN_IN.search(printed)
                password = found[1] if found else password
            elif not step.command.startswith(NOT_RUN):
                waiting.append(step)
        follow(waiting, clone, address, password)


def test_tutorial_has_every_kind_of_step() -> None:
    found = list(steps(FIRST))
    assert len([each for each in found if isinstance(each, ShellExample)]) > 15
    assert {each.is_diff for each in found if isinstance(each, FileEdit)} == {True, False}
