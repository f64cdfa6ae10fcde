"""docs/reference/glossary.md: each term once, in order, and what it names in code is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reference/glossary.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([^`|]+)` \|$", PAGE, re.MULTILINE)


def public_names() -> set[str]:
    """Collect classes and assigned names of modules of `service` and `models`."""
    names = set()
    for package in ("models", "service"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    names.add(node.name)
                elif isinstance(node, ast.Assign):
                    names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


@pytest.fixture(scope="module")
def names() -> set[str]:
    return public_names()


def test_every_glossary_row_is_complete() -> None:
    table = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(table) - 1  # without its head


def test_glossary_terms_are_sorted_and_unique() -> None:
    terms = [term.lower() for term, _, _ in ROWS]
    assert terms == sorted(set(terms))


@pytest.mark.parametrize(("term", "meaning", "name"), ROWS, ids=[term for term, _, _ in ROWS])
def test_glossary_term_has_sentence_and_name_existing_in_code(
    term: str, meaning: str, name: str, names: set[str]
) -> None:
    assert meaning.endswith("."), term
    if "/" in name:
        assert (ROOT / name).exists(), term
    else:
        assert name in names, term
