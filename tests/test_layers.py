"""Who may import whom, read from the sources: docs/architecture.md has the reasons."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("models/**/*.py"), *ROOT.glob("service/**/*.py")])

ROOMS = (
    "kit",
    "runtime",
    "query",
    "storage",
    "schema",
    "access",
    "audit",
    "mail",
    "saved_queries",
    "collections",
    "documents",
    "identity",
    "changes",
    "slow_queries",
    "transfer",
    "http",
    "app",
    "dev",
    "cli",
)
"""The packages of `service/`, each of which may import those above its own line, and none below."""

HTTP = {"http", "app", "cli"}
"""The rooms that may import Litestar."""

DRIVER = {"motor", "pymongo"}
DRIVE_THEMSELVES = {"dev/mongod"}
"""The package beside `storage/` that may import the driver: it starts servers of its own, and asks them
whether they are up before there is a database."""

READ_SETTINGS = {"app", "cli", "dev", "runtime"}


@cache
def imports(path: Path) -> frozenset[str]:
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of_module(module: str) -> str | None:
    """The room of `service/` that a module belongs to."""
    names = module.split(".")
    return names[1] if names[0] == "service" and len(names) > 1 else None


def room_of_file(path: Path) -> str:
    return path.relative_to(ROOT / "service").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_imports_only_allowed_layers(path: Path) -> None:
    imported = imports(path)
    tops = {name.split(".")[0] for name in imported}
    if path.is_relative_to(ROOT / "models"):
        assert "service" not in tops
        assert tops & {"litestar", "motor"} == set()
        return
    own = room_of_file(path)
    if own == "__init__":
        assert "service" not in tops
        return
    allowed = set(ROOMS[: ROOMS.index(own) + 1])
    wrong = {name for name in imported if (room := room_of_module(name)) in ROOMS and room not in allowed}
    assert not wrong
    assert own in HTTP or "litestar" not in tops
    may_drive = own == "storage" or str(path.parent.relative_to(ROOT / "service")) in DRIVE_THEMSELVES
    assert may_drive or not tops & DRIVER
    assert own in READ_SETTINGS or not any(name.startswith("service.runtime.settings") for name in imported)


def test_application_state_is_read_only_in_services_module() -> None:
    """Everything else gets `Services`, whose parts have types; steps keep their notes in `Exchange.state`."""
    readers = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "state" and not is_own_state(node)
    ]
    assert readers == ["service/http/services.py: request.scope['litestar_app'].state"]


def is_own_state(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in {"exchange", "self"}


def test_layers_match_packages_of_service() -> None:
    found = {room_of_file(path) for path in SOURCES if path.is_relative_to(ROOT / "service")} - {"__init__"}
    assert found == set(ROOMS)


@cache
def package_imports() -> dict[str, set[str]]:
    """Which packages import which, at any depth; a module counts for its own package alone."""
    files = [path for path in SOURCES if path.is_relative_to(ROOT / "service")]
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files
    }
    packages = {name for name in modules if any(other.startswith(f"{name}.") for other in modules)}
    found: dict[str, set[str]] = defaultdict(set)
    for path in files:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        own = module if module in packages else module.rpartition(".")[0]
        for name in imports(path):
            if name in modules:
                found[own].add(name if name in packages else name.rpartition(".")[0])
    return found


def test_no_two_packages_import_each_other() -> None:
    """A package and those inside of it are one subject: the outer one is the inner one's front door."""
    found = package_imports()
    knots = {
        tuple(sorted((one, other)))
        for one, others in found.items()
        for other in others
        if one in found.get(other, ())
        and not one.startswith(f"{other}.")
        and not other.startswith(f"{one}.")
        and one != other
    }
    assert not knots


WAYS_TO_SIGN_IN = {"api_keys", "oidc", "passwords", "second_factor", "users"}
"""The packages of `service/identity/` beside `core`; `users` is what administrators do with accounts."""


def part_of_identity(module: str) -> str | None:
    names = module.split(".")
    is_inside = names[:2] == ["service", "identity"] and len(names) > 2
    return names[2] if is_inside else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_way_to_sign_in_is_imported_by_its_front_door_by_no_other_way_and_not_by_core(path: Path) -> None:
    own = part_of_identity(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in imports(path):
        part = part_of_identity(name)
        if part in WAYS_TO_SIGN_IN and part != own:
            assert own is None
            assert (ROOT / name.replace(".", "/")).is_dir() or name in front_door(part)


@cache
def front_door(part: str) -> set[str]:
    """What a package of identity names in `__all__`."""
    tree = ast.parse((ROOT / "service" / "identity" / part / "__init__.py").read_text())
    [listed] = [each.value for each in tree.body if isinstance(each, ast.Assign)]
    return {f"service.identity.{part}.{name}" for name in ast.literal_eval(listed)}


WRITES = {
    *("insert_one", "insert_many", "replace_one", "bulk_write"),
    *("update_one", "update_many", "delete_one", "delete_many"),
    *("find_one_and_update", "find_one_and_replace", "find_one_and_delete"),
}
"""The methods of the driver that write documents."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_are_written_by_storage_and_beanie_alone(path: Path) -> None:
    """All else makes a plan, so that nothing of a collection can change without its Change."""
    if path.is_relative_to(ROOT / "service/storage"):
        return
    calls = [
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert not WRITES.intersection(calls)


def test_plans_know_neither_the_driver_nor_requests() -> None:
    imported = {name.split(".")[0] for name in imports(ROOT / "service/storage/plans.py")}
    assert not imported & {"motor", "pymongo", "beanie", "litestar", "asyncio"}
