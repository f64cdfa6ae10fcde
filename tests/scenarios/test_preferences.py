"""`Prefer: return=…` on writes (RFC 7240)."""

from typing import Any

import httpx

KEEPS_DEFINITIONS = True

MUG: dict[str, Any] = {"name": "Mug", "price": 9.5}
CUP: dict[str, Any] = {"name": "Cup", "price": 1}


async def test_return_minimal_sends_no_body(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    minimal = {**ann, "Prefer": "return=minimal"}
    created = await client.post(goods, json=MUG, headers=minimal)
    assert (created.status_code, created.content) == (201, b"")
    assert created.headers["preference-applied"] == "return=minimal"
    assert created.headers["etag"] == '"1"'
    path = created.headers["location"]
    for version, (method, body) in enumerate([("PUT", CUP), ("PATCH", {"price": 2})], start=2):
        answer = await client.request(method, path, json=body, headers=minimal)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["preference-applied"] == "return=minimal"
        assert answer.headers["etag"] == f'"{version}"'
        assert "content-type" not in answer.headers
    now = (await client.get(path)).json()["data"]
    assert (now["name"], now["price"], now["_version"]) == ("Cup", 2, 3)


PREFERENCES: list[tuple[str, str | None]] = [
    ("return=representation", "return=representation"),
    ('respond-async, RETURN = "representation"; a=b, return=minimal', "return=representation"),
    ("return=everything", None),
    ("return", None),
    ("handling=lenient, ,,", None),
    ("", None),
]


async def test_representation_is_default_and_unknown_preferences_are_ignored(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    for prefer, applied in PREFERENCES:
        answer = await client.post(goods, json=MUG, headers={**ann, "Prefer": prefer})
        assert answer.status_code == 201
        assert answer.headers.get("preference-applied") == applied, prefer
        assert answer.json()["data"]["name"] == "Mug"


async def test_multiple_prefer_headers_are_combined(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    lines = [*ann.items(), ("Prefer", "wait=5"), ("Prefer", "return=minimal")]
    answer = await client.post(goods, json=MUG, headers=lines)
    assert (answer.status_code, answer.content) == (201, b"")


async def test_failed_write_with_return_minimal_has_problem_body(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    answer = await client.post(goods, json={}, headers={**ann, "Prefer": "return=minimal"})
    assert (answer.status_code, answer.json()["code"]) == (400, "document.invalid")
    assert "preference-applied" not in answer.headers
    assert (await client.get(goods)).json()["data"] == []
