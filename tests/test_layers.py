"""Who may import whom, read from the sources: docs/explanation/architecture.md has the reasons."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("models/**/*.py"), *ROOT.glob("service/**/*.py")])

PARTS: list[set[str]] = [
    {"errors"},
    {
        "settings",
        "provider_settings",
        "mongod",
        "strict_json",
        "drain",
        "logs",
        "metrics",
        "waits",
        "deadline",
        "admission",
        "transactions",
        "moments",
        "tracing",
    },
    {"query"},
    {"schema", "access"},
    {
        "calls",
        "database",
        "definitions",
        "registry",
        "documents",
        "audit",
        "identity",
        "listing",
        "mail",
        "transfer",
        "rates",
        "idempotency",
        "batch",
        "saved_queries",
        "slow_queries",
    },
    {"responses", "problems", "guards", "middleware", "openapi", "controllers"},
    {"app"},
    {"server", "cli"},
]
"""Parts of `service/`, each of which may import those above its own line, and those on it."""

HTTP = {"responses", "problems", "guards", "middleware", "controllers", "app", "cli"}
DRIVER = {"database", "files", "realtime"}
READ_SETTINGS = {"app", "cli", "settings"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str | None:
    """Give the part of `service/` that a module belongs to."""
    names = module.split(".")
    return names[1] if names[0] == "service" and len(names) > 1 else None


def own_part(path: Path) -> str:
    return path.relative_to(ROOT / "service").parts[0].removesuffix(".py")


def rank(name: str) -> int:
    return next(position for position, names in enumerate(PARTS) if name in names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    imported = set(imports(path))
    tops = {name.split(".")[0] for name in imported}
    if path.is_relative_to(ROOT / "models"):
        assert "service" not in tops
        assert tops & {"litestar", "motor"} == set()
        return
    own = own_part(path)
    if own == "__init__":
        assert "service" not in tops
        return
    known = set().union(*PARTS)
    wrong = {name for name in imported if (other := part(name)) in known and rank(str(other)) > rank(own)}
    assert not wrong
    assert own in HTTP or "litestar" not in tops
    assert own in DRIVER or "motor" not in tops
    assert own in READ_SETTINGS or "service.settings" not in imported


def test_every_part_has_its_place() -> None:
    parts = {own_part(path) for path in SOURCES if path.is_relative_to(ROOT / "service")} - {"__init__"}
    assert parts == set().union(*PARTS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short_enough_to_be_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 320
