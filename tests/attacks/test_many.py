"""Attacks through requests for many documents: no limit, rule or hidden field is passed by going together."""

from collections.abc import AsyncIterator
from time import process_time
from typing import Any

import httpx
import pytest
from litestar import Litestar

from service.app import create_app
from service.runtime.settings import Settings
from tests.attacks.conftest import MUG, AttackedService, Place, made
from tests.conftest import bearer, connect, opened
from tests.pace import within
from tests.services import services_of

LONG_S = 1.0
BATCH = "/api/batch"
FIRST = {"op": "create", "collection": "products", "document": MUG, "as": "mug"}


def create(document: Any, collection: str = "free") -> dict[str, Any]:
    return {"op": "create", "collection": collection, "document": document}


OPERATIONS: list[Any] = [
    pytest.param([create({})] * 500, 400, id="A15-500-operations"),
    pytest.param([create({})] * 101, 400, id="A15-one-operation-too-many"),
    pytest.param([create({"a": [{"_ref": "mug"}] * 1001})], 400, id="A15-references-that-make-it-large"),
    pytest.param([{"op": "batch", "operations": [create({})]}], 400, id="A15-batch-within-a-batch"),
    pytest.param([{"method": "POST", "url": "/api/free", "body": {}}], 400, id="A15-nested-http"),
    pytest.param([create({}) | {"principal": "admin", "roles": ["admin"]}], 400, id="A15-own-principal"),
    pytest.param([create({"email": "x@y.z"}, "_users")], 404, id="A36-system-collection"),
    pytest.param([create({}, "../collections")], 404, id="A36-path-as-a-collection"),
    pytest.param([create({}, "free/$cmd")], 404, id="A36-command-as-a-collection"),
    pytest.param([create({"a": {"$set": {}}})], 400, id="A4-operator-of-the-database"),
    pytest.param([create(MUG | {"_owner": "x", "_version": 9}, "goods")], 400, id="A5-system-fields"),
    pytest.param(
        [{"op": "patch", "collection": "free", "id": {"$gt": ""}, "patch": {}}], 400, id="A1-operator-as-id"
    ),
    pytest.param(
        [{"op": "patch", "collection": "goods", "id": {"_ref": "mug"}, "patch": {}}],
        404,
        id="A15-id-of-another",
    ),
    pytest.param([create({"a": {"_ref": {"$ne": 1}}})], 400, id="A4-operator-as-a-reference"),
    pytest.param([create({"_ref": "mug"})], 400, id="A15-document-that-is-a-reference"),
    pytest.param([create({"a": {"_ref": "mug", "b": 1}})], 400, id="A15-reference-with-more"),
]


@pytest.mark.parametrize(("operations", "status"), OPERATIONS)
async def test_hostile_batch_is_refused_and_stores_nothing(
    attacked: AttackedService, operations: Any, status: int
) -> None:
    before = attacked.stored()
    body = {"operations": [FIRST, *operations]}
    with within(LONG_S):
        answer = await attacked.client.post(BATCH, json=body, headers=attacked.people["ann"])
    assert answer.status_code == status, answer.text
    assert attacked.stored() == before


@pytest.mark.parametrize("who", [None, "bob"])
@pytest.mark.parametrize("is_atomic", [True, False])
async def test_a15_batch_operation_without_permission_is_refused(
    attacked: AttackedService, place: Place, who: str | None, *, is_atomic: bool
) -> None:
    before = attacked.stored()
    anns = {"collection": place.path.removeprefix("/api/"), "id": place.mug["id"]}
    for operation in (
        {"op": "patch", "patch": {"price": 0}},
        {"op": "replace", "document": MUG},
        {"op": "delete"},
    ):
        body = {"atomic": is_atomic, "operations": [{"op": "get"} | anns, operation | anns]}
        answer = await attacked.client.post(BATCH, json=body, headers=attacked.people[who])
        refused = 401 if who is None else 404
        told = [answer.status_code] if is_atomic else [each["status"] for each in answer.json()["data"]]
        assert told == ([refused] if is_atomic else [200, refused])
    assert attacked.stored() == before


async def test_a39_batch_response_contains_no_hidden_value(attacked: AttackedService) -> None:
    vault = {"collection": "vault", "id": {"_ref": "box"}}
    operations = [
        create({"name": "Bag", "secret": "s3cret", "parts": [{"key": "k3y"}]}, "vault") | {"as": "box"},
        {"op": "get"} | vault,
        {"op": "patch", "patch": {"name": "Case"}} | vault,
        {"op": "patch", "json_patch": [{"op": "test", "path": "/secret", "value": "s3cret"}]} | vault,
        {"op": "patch", "json_patch": [{"op": "copy", "from": "/secret", "path": "/name"}]} | vault,
    ]
    body = {"atomic": False, "operations": operations}
    answer = await attacked.client.post(BATCH, json=body, headers=attacked.people["ann"])
    assert [each["status"] for each in answer.json()["data"]] == [201, 200, 200, 409, 409]
    assert "s3cret" not in answer.text
    assert "k3y" not in answer.text


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_hostile_change_by_filter_is_refused_or_matches_nothing(
    attacked: AttackedService, place: Place, method: str
) -> None:
    before = attacked.stored()
    body: dict[str, Any] = {"json": {"price": 0}} if method == "PATCH" else {}
    every = {"filter[id][exists]": "true", "max_affected": "1000"}
    for path, parameters, who, status in (
        ("/api/vault", {"filter[secret]": "s3cret", "max_affected": "9"}, "ann", 400),  # A7
        ("/api/vault", {"filter": '{"not":{"secret":"x"}}', "max_affected": "9"}, "ann", 400),  # A8
        ("/api/vault", {"filter[$where]": "1", "max_affected": "9"}, "ann", 400),  # A3
        ("/api/vault", every | {"max_affected": "1001"}, "ann", 400),
        ("/api/_users", every, "admin", 404),  # A36
        (place.path, every, None, 401),
    ):
        answer = await attacked.client.request(
            method, path, params=parameters, headers=attacked.people[who], **body
        )
        assert answer.status_code == status, answer.text
    answer = await attacked.client.request(
        method, place.path, params=every, headers=attacked.people["bob"], **body
    )
    assert answer.json() == {"data": {"matched": 0, "changed": 0}}
    assert attacked.stored() == before


@pytest.fixture
async def limited(settings: Settings) -> AsyncIterator[Litestar]:
    strict = settings.model_copy(update={"rate_limit": "on", "rate_limit_user": "40/minute"})
    application = create_app(strict)
    async with opened(application):
        yield application


async def test_a15_each_batch_operation_counts_against_rate_limit(limited: Litestar) -> None:
    headers = bearer(services_of(limited).tokens, "0" * 24)

    async def send(client: httpx.AsyncClient, number: int) -> httpx.Response:
        operations = [create(MUG, "products")] * number
        return await client.post(BATCH, json={"operations": operations}, headers=headers)

    async with connect(limited) as client:
        first = await send(client, 30)
        assert (first.status_code, first.headers["ratelimit"].split(";")[1]) == (200, "r=10")
        refused = await send(client, 11)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (429, "rate.limited")
        assert problem["detail"].startswith(
            "This counts as 11 requests, and 10 were left of your 40 requests"
        )
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers.get_list("ratelimit")[0].split(";")[1] == "r=9"
        assert (await send(client, 9)).status_code == 200
        assert (await send(client, 1)).status_code == 429
        listed = await client.get("/api/products", params={"limit": 100})
        assert len(listed.json()["data"]) == 39


async def test_a7_change_by_filter_does_not_reveal_if_hidden_value_differs(attacked: AttackedService) -> None:
    """Nor tells what a document's version, or the number of those that were changed, would tell."""
    for secret in ("right", "wrong"):
        await made(attacked, "/api/vault", {"name": "Guessed", "secret": secret}, "ann")
    url = "/api/vault?filter[name]=Guessed&max_affected=9"
    for number, prefer in enumerate(("minimal", "representation"), start=2):
        headers = attacked.people["ann"] | {"Prefer": f"return={prefer}"}
        answer = await attacked.client.patch(url, json={"secret": "right"}, headers=headers)
        assert answer.status_code == 200
        if prefer == "minimal":
            assert answer.json() == {"data": {"matched": 2, "changed": 2}}
        else:
            assert [each["_version"] for each in answer.json()["data"]] == [number, number]


async def test_a15_response_to_refused_batch_is_bounded_in_size_and_time(
    attacked: AttackedService,
) -> None:
    long = "n" * 100_000
    unknown = {f"oepratoins{number}": 0 for number in range(20_000)}
    bodies: list[dict[str, Any]] = [
        {"operations": [create({long: [{"_ref": "nobody"}] * 900})]},
        {"operations": [create({long: [[]] * 100_000})]},
        {"operations": []} | unknown,
        {"operations": [create({}) | unknown]},
    ]
    for body in bodies:
        with within(LONG_S, process_time):
            answer = await attacked.client.post(BATCH, json=body, headers=attacked.people["ann"])
        assert (answer.status_code, len(answer.content) < 200_000) == (400, True), answer.text[:500]
