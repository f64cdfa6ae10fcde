"""docs/reference/schemas.md tells of every format, limit and code, and its own example holds."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from service.query.kinds import FORMATS, to_bson
from service.schema import check
from service.schema import compile as compile_schema
from tests.schema.examples import EXAMPLES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "schemas.md").read_text()
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]


def limits() -> dict[str, int]:
    """Read the limits from the modules that keep them; some functions share a module's name."""
    modules = (
        importlib.import_module(f"service.schema.{name}") for name in ("subschemas", "shapes", "validators")
    )
    found = {name: value for module in modules for name, value in vars(module).items()}
    found |= check.__globals__
    return {name: value for name, value in found.items() if name.startswith("MAXIMUM_") and name in PAGE}


@pytest.mark.parametrize(
    "name",
    [
        *("MAXIMUM_BYTES", "MAXIMUM_DEPTH", "MAXIMUM_SUBSCHEMAS", "MAXIMUM_PATTERNS", "MAXIMUM_NAME_BYTES"),
        *(
            "MAXIMUM_PATTERN_BYTES",
            "MAXIMUM_EVALUATIONS",
            "MAXIMUM_CHAIN",
            "MAXIMUM_MERGES",
            "MAXIMUM_PLACE_SIZE",
        ),
    ],
)
def test_page_lists_every_limit_with_its_value(name: str) -> None:
    assert [row[1] for row in ROWS if row[0] == name] == [str(limits()[name])]


@pytest.mark.parametrize("name", FORMATS)
def test_page_lists_stored_type_of_every_format(name: str) -> None:
    [row] = [row for row in ROWS if row[0] == name]
    example = row[1].split('"')[1]

    assert type(to_bson(FORMATS[name], example)).__name__ == row[2]
    assert (
        compile_schema({"type": "object", "properties": {"a": {"format": name}}}).violations({"a": example})
        == []
    )


def test_page_lists_every_code_with_its_message() -> None:
    told = {row[0]: row[1] for row in ROWS}

    assert {code: told.get(code) for code in EXAMPLES} == {
        code: row[3].strip(" `") for code, row in EXAMPLES.items()
    }
    assert {"read_only", "validator", "schema"} <= told.keys()


def test_example_of_page_is_valid_schema() -> None:
    example: dict[str, Any] = json.loads(PAGE.split("```json\n")[1].split("```")[0])
    check(example)
    schema = compile_schema(example)
    document = schema.with_defaults({"title": "Alien", "released": "1979-05-25", "access_code": "x"})

    assert schema.violations(document) == []
    assert schema.visible(schema.with_text_forms(schema.encode(document))) == {
        "title": "Alien",
        "released": "1979-05-25",
        "genres": [],
        "views": 0,
    }
