import ast
import re
from pathlib import Path

import pytest

from service.kit import errors
from service.kit.errors import (
    Duplicate,
    Failure,
    Stale,
    Unavailable,
    Violation,
    catalogue,
    suggestion,
)
from tests.pace import within

ROOT = Path(__file__).parents[1]
FAILURES = list(catalogue())


def test_codes_are_unique_and_well_formed() -> None:
    codes = [failure.code for failure in FAILURES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)?", code) for code in codes)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.code)
def test_every_failure_is_in_docstring_tree_with_its_code(failure: type[Failure]) -> None:
    assert re.search(rf"─ {failure.__name__} .*\b{re.escape(failure.code)}\b", str(errors.__doc__))


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.code)
def test_every_failure_is_documented(failure: type[Failure]) -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    row = f"| `{failure.code}` | {failure.status} | {failure.title} |"
    assert row in page


def test_every_failure_is_used() -> None:
    used: set[str] = set()
    for path in (ROOT / "service").rglob("*.py"):
        if path.parent.name != "errors":
            tree = ast.parse(path.read_text())
            used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert {failure.__name__ for failure in FAILURES} <= used


def test_problem_contains_exactly_known_members() -> None:
    violation = Violation("the value is taken", "unique", pointer="/title")
    failure = Duplicate("Another document has the same `title`", errors=[violation])
    assert failure.problem(instance="/api/films", request_id="r1") == {
        "type": "https://sheaf.dev/problems/document.duplicate",
        "title": "A value that must be unique is taken",
        "status": 409,
        "code": "document.duplicate",
        "detail": "Another document has the same `title`",
        "instance": "/api/films",
        "request_id": "r1",
        "errors": [{"pointer": "/title", "code": "unique", "detail": "the value is taken"}],
    }
    assert Stale(_version=4).problem(instance="/", request_id="")["_version"] == 4


def test_unavailable_failures_have_retry_after() -> None:
    for failure in (each for each in FAILURES if issubclass(each, Unavailable)):
        assert failure().headers == {"Retry-After": "2"}


def test_number_of_reported_violations_is_limited() -> None:
    many = [Violation("x", "y", pointer=f"/{number}") for number in range(1000)]
    assert len(Duplicate(errors=many).errors) == errors.MAXIMUM_VIOLATIONS


def test_suggestion_is_quick_among_many_long_names() -> None:
    names = [f"{'x' * 60}{number:04}" for number in range(2000)]
    with within(0.2):
        assert suggestion("x" * 59 + "y0007", [*names, "prise"]) is not None
        assert suggestion("price", [*names, "prise"]) == "Did you mean `prise`?"
