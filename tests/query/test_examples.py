"""The examples of docs/reference/queries.md are true: every request is sent, every answer is asserted whole.

How to write an example, for whoever adds a section to the page:

- a block fenced as `json title="POST /api/..."` is data: all such blocks are sent first, in order, by an
  administrator;
- a block fenced as `http` is a request: its first line `GET /api/hotels?filter[stars]=5`, headers on the
  lines below it, and after an empty line a body. Nothing is percent-encoded but `+` (`%2B`) and `&` in values
  (`%26`). Examples are sent by nobody, without a token, in any order: they read and change nothing;
- the next `json` block is its whole answer. In it `"…"` stands for any text (a cursor, a time, the id of a
  request). It is 200, or the `status` of a problem;
- a table with the header `| filter | finds |` has a filter as text of a URL (`filter[stars]=5`) or as JSON
  (`{"stars": 5}`) in its first column and the ids of all hotels that it finds in the second, ordered by id.
  JSON is sent both in the URL and as a body. Nothing found is `nothing`, without quotes.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.conftest import served
from tests.query.examples import Example, agrees, load_dataset, read_page

PAGE = read_page(Path(__file__).parents[2] / "docs" / "reference" / "queries.md")
HOTELS = "/api/hotels"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(mongodb_uri: str) -> AsyncIterator[httpx.AsyncClient]:
    """Provide a client of a service that holds the page's dataset."""
    async with served(mongodb_uri) as service:
        await load_dataset(service, PAGE)
        yield service.client


@pytest.mark.parametrize("example", PAGE.examples, ids=lambda example: str(example.request))
async def test_page_example_returns_documented_response(reader: httpx.AsyncClient, example: Example) -> None:
    request = example.request
    headers = {"Content-Type": "application/json"} | request.headers if request.body else request.headers
    answer = await reader.request(request.method, request.target, content=request.body, headers=headers)
    assert answer.status_code == example.status, answer.text
    if not agrees(example.answer, answer.json()):
        assert answer.json() == example.answer  # says what differs


@pytest.mark.parametrize(("asked", "ids"), PAGE.rows, ids=[asked for asked, _ in PAGE.rows])
async def test_page_filter_finds_documented_ids(
    reader: httpx.AsyncClient, asked: str, ids: list[str]
) -> None:
    is_json = asked.startswith("{")
    pairs = [("filter", asked)] if is_json else [part.split("=", 1) for part in asked.split("&")]
    answers = [await reader.get(HOTELS, params=httpx.QueryParams([*pairs, ("fields", "id")]))]
    if is_json:
        body = {"filter": json.loads(asked), "fields": "id"}
        answers.append(await reader.post(f"{HOTELS}/query", json=body))
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert [document["id"] for document in answer.json()["data"]] == ids


def test_page_has_examples_of_every_kind() -> None:
    assert PAGE.dataset
    assert PAGE.examples
    assert {asked.startswith("{") for asked, _ in PAGE.rows} == {True, False}
