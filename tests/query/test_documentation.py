"""docs/reference/queries.md tells of every operator and every limit."""

from pathlib import Path

import pytest

from service.query import OPERATORS, limits, operators, parse_list
from service.query.parse import PARAMETERS
from tests.query.shop import SHOP

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "queries.md").read_text()


@pytest.mark.parametrize("line", [*operators.as_markdown().splitlines(), *limits.as_markdown().splitlines()])
def test_page_contains_every_generated_table_row(line: str) -> None:
    assert line in PAGE.splitlines()


def test_every_limit_has_description() -> None:
    named = {name for name, value in vars(limits).items() if name.isupper() and isinstance(value, int)}
    assert named == set(limits.MEANINGS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_page_documents_every_parameter(name: str) -> None:
    assert f"`{name}" in PAGE


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_examples_can_be_parsed(name: str) -> None:
    parameter, _, text = OPERATORS[name].example.partition("=")
    assert parse_list([(parameter, text)], SHOP).where is not None
