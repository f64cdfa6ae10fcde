"""docs/reference/saved-queries.md is true: its requests are sent, its tables are those of the code."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from service.saved_queries import functions, grouping, limits
from service.saved_queries.parameters import TYPES
from service.saved_queries.stages import NAMES
from tests.conftest import served
from tests.query.examples import Example, agrees, load_dataset, read_page

PATH = Path(__file__).parents[2] / "docs" / "reference" / "saved-queries.md"
TEXT = PATH.read_text()
PAGE = read_page(PATH)
TABLES = [grouping.accumulators_as_markdown(), functions.as_markdown(), limits.as_markdown()]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(mongodb_uri: str) -> AsyncIterator[httpx.AsyncClient]:
    """Provide a client of a service that holds the page's dataset."""
    async with served(mongodb_uri) as service:
        await load_dataset(service, PAGE)
        yield service.client


@pytest.mark.parametrize("example", PAGE.examples, ids=lambda example: str(example.request))
async def test_page_example_returns_documented_response(reader: httpx.AsyncClient, example: Example) -> None:
    answer = await reader.get(example.request.target)
    assert answer.status_code == example.status, answer.text
    if not agrees(example.answer, answer.json()):
        assert answer.json() == example.answer  # says what differs


@pytest.mark.parametrize("line", [line for table in TABLES for line in table.splitlines()])
def test_page_contains_every_generated_table_row(line: str) -> None:
    assert line in TEXT.splitlines()


def test_page_documents_every_stage_and_parameter_type() -> None:
    rows = re.findall(r'^\| `(\{"(\w+)": .*?\})` \|', TEXT, re.MULTILINE)
    stages = TEXT.split("## Stages")[1].split("## Accumulators")[0]
    told = {name for written, name in rows if written in stages and len(json.loads(written)) == 1}
    assert told == set(NAMES)
    assert all(f"`{name}`" in TEXT for name in (*TYPES, "array"))
