"""The examples of docs/reference/writing.md do what the page says."""

import re
import shlex
from pathlib import Path
from typing import Any

import httpx

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "writing.md"
FILMS: dict[str, Any] = {
    "name": "films",
    "schema": {"type": "object", "properties": {"title": {"type": "string"}, "year": {"type": "integer"}}},
    "rules": {"read": "anyone", "write": "user"},
    "options": {"id_type": "string"},
}


def requests(page: str) -> list[tuple[str, str, dict[str, str], str | None]]:
    """Return the method, path, headers and body of each `curl` of a page."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        words = iter(shlex.split(block.replace("\\\n", " ")))
        method, path, headers, body = "GET", "", {}, None
        assert next(words) == "curl"
        for word in words:
            if word == "-X":
                method = next(words)
            elif word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = next(words)
            else:
                path = word.removeprefix("localhost:8000")
        found.append((method, path, headers, body))
    return found


async def test_examples_of_writing_page_return_documented_results(
    client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]
) -> None:
    assert (await client.post("/api/collections", json=FILMS, headers=admin)).status_code == 201
    statuses: list[int] = []
    documents: list[Any] = []
    for method, path, headers, body in requests(PAGE.read_text()):
        answer = await client.request(method, path, content=body, headers=headers | ann)
        statuses.append(answer.status_code)
        documents.append(answer.json()["data"] if answer.content else None)
    assert statuses == [201, 200, 200, 200, 200, 204, 201, 200, 200, 201]
    changed = documents[4]
    assert {name: changed[name] for name in ("id", "year", "tags", "views", "_version")} == {
        "id": "alien",
        "year": 1981,
        "tags": ["space", "horror"],
        "views": 1,
        "_version": 5,
    }
    assert documents[7] == {"matched": 2, "changed": 2}
    assert [each["status"] for each in documents[8]] == [201, 200, 200]
    assert documents[8][2]["data"]["see_also"] == ["alien-2"]
