"""Lists at once, of several collections, are what they are one by one, and have all that was written."""

import asyncio
from random import Random
from typing import Any

import httpx
import pytest

KEEPS_DEFINITIONS = True

NAMES = ("alphas", "betas", "gammas", "deltas")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "rank": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "key": {"type": "string", "writeOnly": True},
        "day": {"type": "string", "format": "date"},
    },
}
RULES = {"read": "anyone", "write": "user"}
Queries = list[tuple[str, dict[str, str]]]


@pytest.fixture
async def collections(client: httpx.AsyncClient, admin: dict[str, str], ann: dict[str, str]) -> None:
    for position, name in enumerate(NAMES):
        if (await client.get(f"/api/collections/{name}", headers=admin)).status_code != 200:
            definition = {"name": name, "schema": SCHEMA, "rules": RULES}
            answer = await client.post("/api/collections", json=definition, headers=admin)
            assert answer.status_code == 201, answer.text
        documents = [
            {
                "name": f"{name} {number}",
                "rank": number % 7,
                "tags": [f"tag {number % 3}", "all"][: number % 3],
                "key": "hidden",
                "day": f"2026-11-{1 + number % 28:02}",
            }
            for number in range(20 + 10 * position)
        ]
        if position < len(NAMES) - 1:  # the last one stays empty
            answer = await client.post(f"/api/{name}", json=documents, headers=ann)
            assert answer.status_code == 201, answer.text


def random_query(chance: Random) -> tuple[str, dict[str, str]]:
    query: dict[str, str] = {"limit": str(chance.choice([1, 3, 7, 100]))}
    query |= chance.choice(
        [
            {},
            {},
            {"filter[rank][gte]": "3"},
            {"filter[rank]": "2"},
            {"filter[name][startswith]": "betas 1"},
            {"filter[tags]": "tag 1"},
            {"filter[rank]": "99"},
        ]
    )
    query |= chance.choice(
        [{}, {"sort": "-rank,name"}, {"sort": "id"}, {"sort": "-id"}, {"sort": "tags"}, {"sort": "day"}]
    )
    query |= chance.choice([{}, {}, {"fields": "name,rank"}, {"fields": "-tags"}])
    query |= chance.choice([{}, {}, {"page": "2"}, {"page": "50"}, {"count": "exact"}])
    return chance.choice(NAMES), query


async def listed(client: httpx.AsyncClient, path: str, query: dict[str, str]) -> tuple[int, bytes]:
    answer = await client.get(f"/api/{path}", params=query)
    assert answer.status_code in {200, 400}, answer.text
    return answer.status_code, answer.content


async def at_once(client: httpx.AsyncClient, asked: Queries) -> list[tuple[int, bytes]]:
    return list(await asyncio.gather(*(listed(client, path, query) for path, query in asked)))


async def one_by_one(client: httpx.AsyncClient, asked: Queries) -> list[tuple[int, bytes]]:
    return [await listed(client, path, query) for path, query in asked]


@pytest.mark.usefixtures("collections")
@pytest.mark.parametrize("seed", range(2))
async def test_concurrent_lists_equal_sequential_lists(client: httpx.AsyncClient, seed: int) -> None:
    chance = Random(seed)  # noqa: S311  # the same lists in every run
    asked = [random_query(chance) for _ in range(60)]
    expected = await one_by_one(client, asked)
    assert [status for status, _ in expected].count(200) == 60
    assert await at_once(client, asked) == expected
    following: Queries = []
    for (path, query), (_, content) in zip(asked, expected, strict=True):
        page = httpx.Response(200, content=content).json()
        kept = {name: value for name, value in query.items() if name != "page"}
        following += [(path, kept | {"cursor": page[name]}) for name in ("next", "prev") if name in page]
    assert len(following) >= 15
    assert await at_once(client, following) == await one_by_one(client, following)
    assert b"hidden" not in b"".join(content for _, content in expected)


@pytest.mark.usefixtures("collections")
async def test_concurrent_lists_include_completed_writes(
    client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    chance = Random(5)  # noqa: S311  # the same lists in every run
    for turn in range(4):
        made = await client.post(
            f"/api/{NAMES[turn % 4]}", json={"name": f"new {turn}", "rank": 2}, headers=ann
        )
        document = made.json()["data"]
        changed = f"/api/{NAMES[turn % 4]}/{document['id']}"
        patch = {"rank": 3 + turn % 2}
        asked = [random_query(chance) for _ in range(15)]
        found, (_, with_it) = await asyncio.gather(
            at_once(client, asked), listed(client, NAMES[turn % 4], {"filter[name]": f"new {turn}"})
        )
        assert found == await one_by_one(client, asked)
        assert f'"id":"{document["id"]}"'.encode() in with_it
        assert (await client.patch(changed, json=patch, headers=ann)).status_code == 200
        found = await at_once(client, [*asked, (NAMES[turn % 4], {"filter[name]": f"new {turn}"})])
        assert found[:-1] == await one_by_one(client, asked)
        assert f'"rank":{patch["rank"]}'.encode() in found[-1][1]


@pytest.mark.usefixtures("collections")
async def test_lists_during_writes_are_consistent(client: httpx.AsyncClient, ann: dict[str, str]) -> None:
    """While documents change, each list is of one moment: no document twice, none lost that stays."""

    async def write(number: int) -> None:
        path = f"/api/{NAMES[number % 3]}"
        document = (await client.post(path, json={"name": "passing", "rank": 50}, headers=ann)).json()["data"]
        assert (await client.delete(f"{path}/{document['id']}", headers=ann)).status_code == 204

    asked: Queries = [
        (NAMES[number % 3], {"filter[rank][lt]": "50", "sort": "name", "limit": "100", "page": "1"})
        for number in range(60)
    ]
    expected = await one_by_one(client, asked)
    found, *_ = await asyncio.gather(at_once(client, asked), *map(write, range(12)))
    assert found == expected


@pytest.mark.usefixtures("collections")
async def test_refused_list_does_not_affect_concurrent_lists(client: httpx.AsyncClient) -> None:
    good: Queries = [(name, {"sort": "rank", "limit": "3"}) for name in NAMES]
    wrong: Queries = [
        (NAMES[0], {"filter[rank]": "many"}),
        (NAMES[1], {"cursor": "none"}),
        (NAMES[2], {"nothing": "x"}),
    ]
    found = await at_once(client, [*good, *wrong] * 5)
    expected = await one_by_one(client, good)
    assert [status for status, _ in found] == [200, 200, 200, 200, 400, 400, 400] * 5
    for turn in range(5):
        assert found[7 * turn : 7 * turn + 4] == expected
