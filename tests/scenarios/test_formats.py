"""Formats of a schema choose the BSON type; the wire always carries plain JSON."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from bson import Decimal128, ObjectId
from bson.codec_options import CodecOptions
from litestar import Litestar

from tests.services import services_of

EVERY: dict[str, Any] = {
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "ref": {"type": "string", "format": "objectid"},
    "key": {"type": "string", "format": "uuid"},
    "big": {"type": ["string", "integer"], "format": "int64"},
    "amount": {"type": "string", "format": "decimal"},
    "blob": {"type": "string", "format": "binary"},
    "plain": {"type": "string"},
    "either": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}, {"type": "null"}]},
    "nested": {
        "type": "object",
        "properties": {"days": {"type": "array", "items": {"type": "string", "format": "date"}}},
    },
    "secret": {"type": "string", "writeOnly": True},
    "score": {"type": "integer", "readOnly": True},
}
DOCUMENT: dict[str, Any] = {
    "at": "2026-11-22T12:30:00.123Z",
    "day": "2026-11-22",
    "ref": "0123456789abcdef01234567",
    "key": "12345678-1234-5678-1234-567812345678",
    "big": "9007199254740993",
    "amount": "12.50",
    "blob": "aGVsbG8=",
    "plain": "2026-11-22",
    "either": "2026-01-01T00:00:00.000Z",
    "nested": {"days": ["2026-01-01", "2026-12-31"]},
}


@pytest.fixture
async def kinds(client: httpx.AsyncClient, admin: dict[str, str]) -> str:
    body = {
        "name": "kinds",
        "schema": {"type": "object", "properties": EVERY},
        "rules": {"read": "anyone", "write": "anyone"},
    }
    answer = await client.post("/api/collections", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    return "/api/kinds"


def utc(*parts: int) -> datetime:
    """Return a time as the engine reads it: in UTC, without a zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc,arg-type]  # at most 7 parts


async def stored(app: Litestar) -> dict[str, Any]:
    documents = services_of(app).registry.get("kinds").documents
    options: CodecOptions[dict[str, Any]] = documents.codec_options
    document: dict[str, Any] = await documents.with_options(options).find_one({})
    return document


async def test_documents_round_trip_for_every_format(client: httpx.AsyncClient, kinds: str) -> None:
    created = (await client.post(kinds, json=DOCUMENT)).json()["data"]
    assert {name: created[name] for name in DOCUMENT} == DOCUMENT
    assert (await client.get(f"{kinds}/{created['id']}")).json()["data"] == created
    assert (await client.get(kinds)).json()["data"] == [created]


async def test_format_determines_stored_bson_type(
    client: httpx.AsyncClient, kinds: str, app: Litestar
) -> None:
    await client.post(kinds, json=DOCUMENT)
    document = await stored(app)
    assert {name: document[name] for name in DOCUMENT} == {
        "at": utc(2026, 11, 22, 12, 30, 0, 123000),
        "day": utc(2026, 11, 22),
        "ref": ObjectId("0123456789abcdef01234567"),
        "key": UUID("12345678-1234-5678-1234-567812345678"),
        "big": 9007199254740993,
        "amount": Decimal128("12.50"),
        "blob": b"hello",
        "plain": "2026-11-22",
        "either": utc(2026, 1, 1),
        "nested": {"days": [utc(2026, 1, 1), utc(2026, 12, 31)]},
    }


async def test_patch_keeps_bson_types_of_other_fields(
    client: httpx.AsyncClient, kinds: str, app: Litestar
) -> None:
    created = (await client.post(kinds, json=DOCUMENT)).json()["data"]
    before = await stored(app)
    patched = await client.patch(f"{kinds}/{created['id']}", json={"plain": "x", "either": 3})
    assert patched.status_code == 200, patched.text
    after = await stored(app)
    for name in DOCUMENT.keys() - {"plain", "either"}:
        assert after[name] == before[name]
        assert type(after[name]) is type(before[name])
    assert (after["plain"], after["either"]) == ("x", 3)


async def test_datetimes_are_returned_in_utc_with_milliseconds(client: httpx.AsyncClient, kinds: str) -> None:
    body = {"at": "2026-11-22T14:30:00.123987+02:00"}
    created = (await client.post(kinds, json=body)).json()["data"]
    assert created["at"] == "2026-11-22T12:30:00.123Z"


@pytest.mark.parametrize(
    ("given", "taken"),
    [(5, 5), ("5", 5), (-(2**53) + 1, -(2**53) + 1), ("9223372036854775807", "9223372036854775807")],
)
async def test_int64_is_returned_as_string_beyond_double_precision(
    client: httpx.AsyncClient, kinds: str, given: Any, taken: Any
) -> None:
    created = (await client.post(kinds, json={"big": given})).json()["data"]
    assert created["big"] == taken


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", "2026-11-22"),
        ("at", "2026-11-22T12:30:00"),
        ("at", "2026-02-30T12:30:00Z"),
        ("day", "22.11.2026"),
        ("day", "2026-02-30"),
        ("ref", "xyz"),
        ("key", "1234"),
        ("big", "12.5"),
        ("big", "9223372036854775808"),
        ("amount", "12,50"),
        ("blob", "&&&"),
        ("nested", {"days": ["2026-01-01", "later"]}),
    ],
)
async def test_value_not_matching_format_returns_400(
    client: httpx.AsyncClient, kinds: str, name: str, value: Any
) -> None:
    answer = await client.post(kinds, json={name: value})
    assert answer.status_code == 400
    pointer = "/nested/days/1" if name == "nested" else f"/{name}"
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, "format")]
    assert (await client.get(kinds)).json()["data"] == []


async def test_write_only_field_is_stored_and_never_returned(
    client: httpx.AsyncClient, kinds: str, app: Litestar
) -> None:
    answer = await client.post(kinds, json={"plain": "x", "secret": "s3cret"})
    created = answer.json()["data"]
    path = f"{kinds}/{created['id']}"
    answers = [
        answer,
        await client.get(path),
        await client.get(kinds),
        await client.put(path, json={"plain": "y"}),
        await client.patch(path, json={"plain": "z"}),
    ]
    assert all("s3cret" not in each.text for each in answers)
    assert (await stored(app))["secret"] == "s3cret"
    await client.patch(path, json={"secret": None})
    assert "secret" not in await stored(app)


@pytest.mark.parametrize(
    "query",
    ["filter[secret]=x", "filter[secret][exists]=true", "sort=secret", "sort=-secret", "fields=secret"],
)
async def test_write_only_field_is_unknown_in_queries(
    client: httpx.AsyncClient, kinds: str, query: str
) -> None:
    hidden = await client.get(f"{kinds}?{query}")
    absent = await client.get(f"{kinds}?{query.replace('secret', 'sxcret')}")
    assert (hidden.status_code, absent.status_code) == (400, 400)

    def told(answer: httpx.Response) -> str:
        return answer.text.replace("sxcret", "secret").replace(answer.json()["request_id"], "")

    assert told(hidden) == told(absent)


async def test_read_only_field_cannot_be_changed_by_clients(
    client: httpx.AsyncClient, kinds: str, app: Litestar
) -> None:
    created = (await client.post(kinds, json={"plain": "x"})).json()["data"]
    path = f"{kinds}/{created['id']}"
    await services_of(app).registry.get("kinds").documents.update_one({}, {"$set": {"score": 7}})
    for answer in (
        await client.post(kinds, json={"score": 7}),
        await client.put(path, json={"plain": "x", "score": 8}),
        await client.patch(path, json={"score": 8}),
        await client.patch(path, json={"score": None}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "field.not_writable")
    assert (await client.put(path, json={"plain": "y", "score": 7})).json()["data"]["score"] == 7
    assert (await client.put(path, json={"plain": "z"})).json()["data"]["score"] == 7
    assert (await client.patch(path, json={"score": 7})).json()["data"]["score"] == 7


async def test_documents_written_by_other_programs_can_be_read_and_patched(
    client: httpx.AsyncClient, kinds: str, app: Litestar
) -> None:
    documents = services_of(app).registry.get("kinds").documents
    await documents.insert_one({"plain": 5, "odd": float("nan"), "when": utc(2020, 1, 1), "code": b"\x00"})
    listed = (await client.get(kinds)).json()["data"]
    assert len(listed) == 1
    assert (listed[0]["plain"], listed[0]["odd"], listed[0]["when"]) == (5, None, "2020-01-01T00:00:00.000Z")
    path = f"{kinds}/{listed[0]['id']}"
    assert (await client.get(path)).headers["etag"] == '"0"'
    assert (await client.patch(path, json={"key": DOCUMENT["key"]})).status_code == 400
    mended = await client.patch(path, json={"plain": "five"}, headers={"If-Match": '"0"'})
    assert (mended.status_code, mended.headers["etag"]) == (200, '"1"')


# --- ids


@pytest.mark.parametrize(
    ("id_type", "given", "malformed"),
    [
        ("integer", [7, -3, 2**53 - 1], ["7", 1.5, True, None, 2**53]),
        ("string", ["alien", "a b", "Ünïcode", "x" * 200], ["", "a/b", "x" * 201, 7, "..", "a\u0000b"]),
        ("uuid", ["12345678-1234-5678-1234-567812345678"], ["1234", 7]),
        ("objectid", ["0123456789abcdef01234567"], ["0123", 7]),
    ],
)
async def test_client_ids_are_validated_by_id_type(
    client: httpx.AsyncClient, admin: dict[str, str], id_type: str, given: list[Any], malformed: list[Any]
) -> None:
    body = {
        "name": "own",
        "schema": {"type": "object"},
        "rules": {"read": "anyone", "write": "anyone"},
        "options": {"id_type": id_type},
    }
    assert (await client.post("/api/collections", json=body, headers=admin)).status_code == 201
    for own_id in given:
        created = await client.post("/api/own", json={"id": own_id, "n": 1})
        assert created.status_code == 201, created.text
        assert created.json()["data"]["id"] == own_id
        read = await client.get(created.headers["location"])
        assert read.json() == created.json()
        again = await client.post("/api/own", json={"id": own_id, "n": 2})
        assert (again.status_code, again.json()["errors"][0]["pointer"]) == (409, "/id")
    for wrong in malformed:
        refused = await client.post("/api/own", json={"id": wrong})
        assert (refused.status_code, refused.json()["code"]) == (400, "id.invalid"), wrong
    made = await client.post("/api/own", json={"n": 3})
    assert made.status_code == 201 or id_type == "integer"
    assert len((await client.get("/api/own")).json()["data"]) == len(given) + (made.status_code == 201)


async def test_integer_ids_continue_from_largest(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    body = {
        "name": "own",
        "schema": {"type": "object"},
        "rules": {"read": "anyone", "write": "anyone"},
        "options": {"id_type": "integer"},
    }
    await client.post("/api/collections", json=body, headers=admin)
    bodies: list[dict[str, Any]] = [{}, {}, {"id": 10}, {}, {"id": 4}, {}]
    ids = [(await client.post("/api/own", json=each)).json()["data"]["id"] for each in bodies]
    assert ids == [1, 2, 10, 11, 4, 12]
    await client.delete("/api/own/12")
    assert (await client.post("/api/own", json={})).json()["data"]["id"] == 13


async def test_integer_ids_are_never_generated_above_maximum(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    body = {
        "name": "own",
        "schema": {"type": "object"},
        "rules": {"read": "anyone", "write": "anyone"},
        "options": {"id_type": "integer"},
    }
    await client.post("/api/collections", json=body, headers=admin)
    for own, status in (({"id": 2**53 - 2}, 201), ({}, 201), ({}, 400), ([{}, {}], 400), ({"id": 7}, 201)):
        answer = await client.post("/api/own", json=own)
        assert (answer.status_code, answer.json().get("code")) == (status, {400: "id.invalid"}.get(status))
    listed = (await client.get("/api/own")).json()["data"]
    assert {each["id"] for each in listed} == {7, 2**53 - 2, 2**53 - 1}
