"""docs/explanation/attacks.md names every attack that is tried here, and only tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/attacks.md").read_text()
ROWS = {
    cells[1].strip(): cells for cells in (line.split("|") for line in PAGE.splitlines() if line[:3] == "| A")
}
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_named_on_attacks_page_exists() -> None:
    assert NAMED
    for path, name in NAMED:
        tree = ast.parse((ROOT / path).read_text())
        functions = {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"{path}::{name}"


def test_every_row_of_attacks_page_is_complete_and_names_test() -> None:
    for attack, cells in ROWS.items():
        assert all(cell.strip() for cell in cells[1:-1]), attack
        assert "::test_" in cells[5], attack


def test_every_tested_attack_is_on_attacks_page() -> None:
    tried: set[str] = set()
    for path in (ROOT / "tests/attacks").glob("test_*.py"):
        text = path.read_text()
        tried |= {attack.upper() for attack in re.findall(r"def test_(a\d+)_", text)}
        tried |= set(re.findall(r"\"(A\d+)-", text))
    assert tried <= ROWS.keys()
    assert len(ROWS) == PAGE.count("\n| A")
