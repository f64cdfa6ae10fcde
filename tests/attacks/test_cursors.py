"""Attacks through cursors: none is taken that was not given out for this very list, and none tells more."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import bson
import pytest

from service.query.cursors import SIGNATURE_BYTES, Cursors
from service.query.fields import Field
from service.query.keyset import Place
from service.query.tree import ListQuery, SortKey
from service.storage.plans import plan_list
from tests.attacks.conftest import AttackedService, made
from tests.attacks.conftest import Place as Attacked

QUERY = {"sort": "-price", "limit": "1"}


async def given_out(attacked: AttackedService, path: str, query: dict[str, str]) -> str:
    """Return a cursor that the service itself wrote."""
    page = (await attacked.client.get(path, params=query)).json()
    if "next" not in page:
        await made(attacked, path, {"name": "Cup", "price": 1}, "ann")
        page = (await attacked.client.get(path, params=query)).json()
    cursor: str = page["next"]
    return cursor


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def with_operator(cursor: str) -> str:
    """Return the cursor with an operator of the database for a value, under its old signature."""
    content = raw(cursor)
    value = bson.encode({"values": [{"$ne": None}, {"$gt": ""}], "is_backward": False})
    return text(content[:9] + value + content[-SIGNATURE_BYTES:])


def signed_by_another(cursor: str) -> str:
    return Cursors("a guess").write(raw(cursor)[1:9], Place((0, "x"))) or ""


FORGERIES: list[Any] = [
    pytest.param(lambda cursor: cursor[:-1], id="A9-cut"),
    pytest.param(lambda cursor: cursor[: len(cursor) // 2], id="A9-half"),
    pytest.param(lambda cursor: cursor + "AAAA", id="A9-longer"),
    pytest.param(lambda cursor: text(b"\x02" + raw(cursor)[1:]), id="A9-of-another-version"),
    pytest.param(lambda cursor: text(raw(cursor)[:-SIGNATURE_BYTES]), id="A9-unsigned"),
    pytest.param(lambda cursor: text(raw(cursor)[:-1] + bytes([raw(cursor)[-1] ^ 1])), id="A9-one-bit"),
    pytest.param(with_operator, id="A9-operators-as-values"),
    pytest.param(signed_by_another, id="A9-signed-by-another"),
    pytest.param(lambda _: "null", id="A9-null"),
    pytest.param(lambda _: "x" * 5000, id="A9-long"),
]


@pytest.mark.parametrize("forge", FORGERIES)
async def test_forged_cursor_in_url_or_body_returns_400(
    attacked: AttackedService, place: Attacked, forge: Any
) -> None:
    forged = forge(await given_out(attacked, place.path, QUERY))
    before = attacked.stored()
    in_url = await attacked.client.get(place.path, params=QUERY | {"cursor": forged})
    in_body = await attacked.client.post(f"{place.path}/query", json={"sort": "-price", "cursor": forged})
    for answer in (in_url, in_body):
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
    (by_name,), (by_pointer,) = in_url.json()["errors"], in_body.json()["errors"]
    assert (by_name["parameter"], by_pointer["pointer"]) == ("cursor", "/cursor")
    assert by_name["code"] == by_pointer["code"]
    assert attacked.stored() == before


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"sort": "price"}, id="A9-of-another-order"),
        pytest.param({"sort": "-price,name"}, id="A9-of-a-longer-order"),
        pytest.param({}, id="A9-of-no-order"),
        pytest.param({"sort": "-price", "filter[price][gte]": "0"}, id="A9-of-another-filter"),
        pytest.param({"sort": "-price", "filter": '{"name":{"exists":true}}'}, id="A9-of-a-filter-in-json"),
    ],
)
async def test_cursor_of_list_with_other_sort_or_filter_returns_400(
    attacked: AttackedService, place: Attacked, other: dict[str, str]
) -> None:
    cursor = await given_out(attacked, place.path, QUERY)
    answer = await attacked.client.get(place.path, params=other | {"cursor": cursor})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["parameter"], error["code"]) == (400, "cursor", "cursor")


async def test_cursor_of_other_collection_returns_400(attacked: AttackedService) -> None:
    here, there = (place.path for place in attacked.places.values())
    cursor = await given_out(attacked, here, QUERY)
    assert (await attacked.client.get(here, params=QUERY | {"cursor": cursor})).status_code == 200
    answer = await attacked.client.get(there, params=QUERY | {"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "cursor")


@pytest.mark.parametrize("hidden", ["secret", "parts.key"])
async def test_signed_cursor_over_hidden_field_returns_400(attacked: AttackedService, hidden: str) -> None:
    """Even one that is signed well, as if the field had not always been hidden."""
    sort = (SortKey(tuple(hidden.split("."))),)
    name = plan_list("vault", Field(), ListQuery(sort=sort)).list_id("vault 1")
    cursor = Cursors("any").write(name, Place(("a", "id")))
    for query in ({"sort": hidden}, {"sort": hidden, "cursor": cursor or ""}):
        answer = await attacked.client.get("/api/vault", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter.invalid")
        assert answer.json()["errors"][0]["code"] == "unknown_field"
        assert "s3cret" not in answer.text


async def test_cursor_contains_no_hidden_value(attacked: AttackedService) -> None:
    await made(
        attacked, "/api/vault", {"name": "Chest", "secret": "s3cret", "parts": [{"key": "k3y"}]}, "ann"
    )
    cursor = await given_out(attacked, "/api/vault", {"sort": "name", "limit": "1"})
    assert b"Box" in raw(cursor)
    for hidden in (b"s3cret", b"k3y"):
        assert hidden not in raw(cursor)
