"""What writes are answered: no more than the caller may read, whatever they may write."""

from typing import Any

import pytest

from tests.rules.sending import ANN, BOB, SCHEMA, Send, created

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_write_without_right_to_read_returns_only_id_and_version(send: Send, define: Send) -> None:
    name = await define({"read": "nobody", "write": "user"}, options={"id_type": "string"})
    keyed = {"Idempotency-Key": "once"}
    for _ in range(2):
        answer = await send(ANN, "POST", name, {"id": "a", "title": "secret"}, **keyed)
        assert (answer.status_code, answer.json()) == (201, {"data": {"id": "a", "_version": 1}})
        assert answer.headers["location"] == f"/api/{name}/a"
    blind = {"data": {"id": "a", "_version": 2}}
    assert (await send(ANN, "PATCH", f"{name}/a", {"team": "x"})).json() == blind
    put = await send(ANN, "PUT", f"{name}/a?upsert=true", {"status": "new"})
    assert (put.status_code, put.json()["data"]) == (200, {"id": "a", "_version": 3})
    test = [{"op": "test", "path": "/title", "value": "secret"}]
    media = {"Content-Type": "application/json-patch+json"}
    assert (await send(ANN, "PATCH", f"{name}/a", test, **media)).status_code == 409
    body = {"operations": [{"op": "patch", "collection": name, "id": "a", "patch": {"title": "t"}}]}
    told = (await send(ANN, "POST", "batch", body)).json()["data"]
    assert told == [{"status": 200, "data": {"id": "a", "_version": 4}, "etag": '"4"'}]
    many = await send(ANN, "POST", name, [{"id": "b", "title": "x"}])
    assert many.json() == {"data": [{"id": "b", "_version": 1}]}
    stored = (await send("root", "GET", f"{name}/a")).json()["data"]
    assert {key: stored.get(key) for key in ("title", "team", "status")} == {
        "title": "t",
        "team": "x",
        "status": "new",
    }


async def test_write_response_is_masked_by_read_rule_of_result(send: Send, define: Send) -> None:
    read = {"role": "user", "where": {"status": "open"}, "fields": ["title", "status"]}
    name = await define({"read": read, "write": "user"})
    made = await created(send, name, {"status": "open", "title": "a", "team": "x"})
    assert made == {"id": made["id"], "_version": 1, "title": "a", "status": "open"}
    path = f"{name}/{made['id']}"
    closed = await send(ANN, "PATCH", path, {"status": "closed"})
    assert closed.json() == {"data": {"id": made["id"], "_version": 2}}
    reopened = await send(ANN, "PATCH", path, {"status": "open"})
    assert reopened.json()["data"] == made | {"_version": 3}


async def test_duplicate_error_does_not_reveal_value(send: Send, define: Send) -> None:
    read = {"role": "user", "fields": {"except": ["code"]}}
    indexes = [{"fields": ["code"], "unique": True, "sparse": True}]
    name = await define({"read": read, "write": "user"}, indexes=indexes)
    made = await created(send, name, {"code": "taken", "title": "a"})
    assert "code" not in made
    answer = await send(BOB, "POST", name, {"code": "taken"})
    assert (answer.status_code, answer.json()["errors"]) == (
        409,
        [{"pointer": "/code", "code": "unique", "detail": "the value is taken"}],
    )
    assert "taken" not in answer.json()["detail"]


async def test_write_only_value_cannot_be_guessed_by_unwritable_field(send: Send, define: Send) -> None:
    """To change it to what it is would be no change, and to anything else one that is refused."""
    secret = {"type": "string", "writeOnly": True}
    schema = SCHEMA | {"properties": {"title": {"type": "string"}, "pin": secret}}
    update = {"role": "user", "fields": ["title"]}
    name = await define({"read": "user", "create": "user", "update": update}, schema=schema)
    stored: list[dict[str, Any]] = [{"pin": "1234"}, {}]
    paths = [f"{name}/{(await created(send, name, body))['id']}" for body in stored]
    guesses: list[dict[str, Any]] = [{"pin": "1234"}, {"pin": "0000"}, {"pin": None}]
    for body in guesses:
        for method in ("PATCH", "PUT"):
            refusals = [await send(ANN, method, path, body) for path in paths]
            assert [answer.status_code for answer in refusals] == [403, 403], body
    put = await send(ANN, "PUT", paths[0], {"title": "new"})
    assert put.status_code == 200
