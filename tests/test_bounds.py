"""docs/reference/protection.md tells the bounds that the code has."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs/reference/protection.md").read_text()
TABLE = PAGE.partition("## What is bounded")[2].partition("\n## ")[0]
ROWS = re.findall(r"\(`([\w.]+)\.([A-Z_]+)`\) \| (\d+) \|", TABLE)


@pytest.mark.parametrize(("module", "name", "bound"), ROWS)
def test_documented_bound_matches_code(module: str, name: str, bound: str) -> None:
    assert getattr(import_module(f"service.{module}"), name) == int(bound)


def test_every_queue_limit_is_documented() -> None:
    """What waits is bounded by a MAXIMUM_WAITING wherever it waits."""
    sources = Path(__file__).parents[1] / "service"
    bounded = {
        ".".join(path.relative_to(sources).with_suffix("").parts)
        for path in sources.glob("**/*.py")
        if re.search(r"^MAXIMUM_WAITING = ", path.read_text(), re.MULTILINE)
    }
    assert bounded
    assert bounded <= {module for module, _, _ in ROWS}
