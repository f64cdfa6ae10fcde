"""The pages say what is there: links, commands, paths, decisions."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.app import create_app
from service.cli import COMMANDS
from service.collections.names import NAME, RESERVED
from service.runtime.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
SITE = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
DECISIONS = sorted(ROOT.glob("docs/decisions/[0-9]*.md"))
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
FILE = re.compile(
    r"`((?:service|models|tests|scripts|examples|requirements)/[\w./-]*|[\w-]+(?:/[\w-]+)*/\w+\.py)"
)
WHOLE = re.compile(r"`[^`]+`|\[[^\]]+\]\([^)]+\)")
NO_PROSE = re.compile(r"\s*(\||#|!\[|\[[^\]]+\]: )")
LONGEST_LINE = 100
STATUS = re.compile(r"^\*\*Status\.\*\* ((?:.|\n)+?)\.\n\n", re.MULTILINE)
PATH = re.compile(r"`(?:[A-Z/]+ )?(/api[^`\s?]*)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_linked_files_exist(page: Path) -> None:
    targets = LINK.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are linked by, as GitHub makes it of them."""
    return {
        re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in HEADING.findall(page.read_text())
    }


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_linked_headings_exist(page: Path) -> None:
    wanted = ANCHOR.findall(page.read_text())
    assert [
        each for each in wanted if each[1] not in anchors(page.parent / each[0] if each[0] else page)
    ] == []


def links_of(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target in LINK.findall(page.read_text())}


def test_every_page_is_linked_from_overview() -> None:
    overview = ROOT / "docs/index.md"
    assert overview in links_of(ROOT / "README.md")
    linked = links_of(overview)
    assert {page for page in SITE if page not in linked} - {overview, *DECISIONS} == set()


def test_index_of_examples_lists_every_example() -> None:
    examples = ROOT / "examples"
    there = {path for path in examples.iterdir() if path.name != "README.md"}
    assert {path for path in links_of(examples / "README.md") if path.is_relative_to(examples)} == there


def pages_of(navigation: Any) -> Iterator[str]:
    """Yield the pages of a navigation, whose sections nest."""
    if isinstance(navigation, str):
        yield navigation
    else:
        for each in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from pages_of(each)


def test_navigation_of_site_has_every_page_once() -> None:
    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert sorted(pages_of(configuration["nav"])) == sorted(
        str(page.relative_to(ROOT / "docs")) for page in SITE
    )


def test_site_loads_nothing_from_other_hosts() -> None:
    theme = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["theme"]
    assert theme["font"] is False
    assert [page for page in SITE if "```mermaid" in page.read_text()] == []  # its script is on a CDN


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_documented_commands_exist(page: Path) -> None:
    text = page.read_text()
    assert {name for name in re.findall(r"`sheaf ([a-z]+)", text) if name not in COMMANDS} == set()
    scripts = set(re.findall(r"scripts/([a-z]+)", text))
    assert {name for name in scripts if not (ROOT / "scripts" / name).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_documented_files_exist(page: Path) -> None:
    names = FILE.findall(page.read_text())
    assert [
        name for name in names if not (ROOT / name).exists() and not (ROOT / "service" / name).exists()
    ] == []


def test_contributing_page_lists_every_package() -> None:
    rooms = {f"service/{path.parent.name}/" for path in ROOT.glob("service/*/__init__.py")}
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"`(service/\w+/)`", text)) == rooms


def prose_of(page: Path) -> Iterator[str]:
    """Yield the lines that are no code, table, heading, picture or address of a link."""
    is_code = False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and not NO_PROSE.match(line):
            yield line


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_prose_of_pages_is_wrapped(page: Path) -> None:
    """A line may be longer where it is one link or one piece of code, which are not broken."""
    long = [line for line in prose_of(page) if len(line) > LONGEST_LINE]
    assert [line for line in long if " " in WHOLE.sub("x", line).strip(" -*")] == []


@pytest.mark.parametrize("page", DECISIONS, ids=named)
def test_decision_has_all_sections_and_names_existing_checks(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.name[:4]} ")
    for part in ("Context", "Decision", "Consequences", "Alternatives", "Kept by"):
        assert f"**{part}" in text
    kept_by = re.findall(r"`((?:tests|scripts)/[^`]+)`", text.split("**Kept by")[1])
    assert kept_by
    for place in kept_by:
        path, _, test = place.partition("::")
        assert (ROOT / path).exists(), place
        assert not test or f"def {test}(" in (ROOT / path).read_text(), place


def test_decisions_are_numbered_without_gaps() -> None:
    assert [page.name[:4] for page in DECISIONS] == [f"{n + 1:04}" for n in range(len(DECISIONS))]


def status_of(page: Path) -> str:
    found = STATUS.search(page.read_text())
    assert found is not None, page.name
    return " ".join(found[1].split())


@pytest.mark.parametrize("page", DECISIONS, ids=named)
def test_status_of_decision_is_accepted_or_names_a_later_decision(page: Path) -> None:
    status = status_of(page)
    links = re.findall(r"\[(\d{4})\]\((\1-[^)]+)\)", status)
    assert all(number > page.name[:4] and (page.parent / target).exists() for number, target in links)
    named_later = ", ".join(f"[{number}]({target})" for number, target in links)
    assert status in {"Accepted", f"Accepted; amended by {named_later}", f"Superseded by {named_later}"}


def test_index_of_decisions_lists_title_and_status_of_each() -> None:
    rows = []
    for page in DECISIONS:
        number, title = page.read_text().splitlines()[0].removeprefix("# ").split(" ", 1)
        status = status_of(page)
        rows.append(f"| [{number}]({page.name}) | {title} | {status[0].lower()}{status[1:]} |")
    lines = (ROOT / "docs/decisions/index.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("| [")] == rows


def routes(settings: Settings) -> Iterator[str]:
    for route in create_app(settings).routes:
        yield re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path).replace("{document_id}", "{id}")


async def test_api_page_lists_every_path(settings: Settings) -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text()
    table = text.split("## Paths")[1].split("## Documents")[0]
    told = {path.rstrip("/") for path in PATH.findall(table)}
    assert {path for path in routes(settings) if path.startswith("/api")} == told


def test_api_page_has_name_pattern_and_reserved_names() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert f"`^{NAME.pattern}$`" in text
    sentence = text.split("Reserved are: ")[1].split(".")[0]
    assert set(re.findall(r"`([a-z]+)`", sentence)) == RESERVED
