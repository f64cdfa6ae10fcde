"""Many documents at once: stored as created ones are, each accepted, skipped or refused by itself."""

from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from bson import ObjectId
from litestar import Litestar

from service.access.principals import ANONYMOUS
from service.collections import change
from service.collections.registry import Collection
from service.documents import loading
from service.documents.access import Access
from service.documents.loading import Loaded, Refusal
from service.kit.errors import SignInRequired
from tests import operator
from tests.services import services_of

PREFIX = bytes.fromhex("650000000badcafe")
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "email": {"type": "string"},
        "born": {"type": "string", "format": "date"},
        "seen": {"type": "string", "format": "date-time"},
        "stars": {"type": "integer", "minimum": 0, "default": 3},
        "text": {"type": "string"},
    },
    "required": ["name"],
    "additionalProperties": False,
}
UNIQUE_EMAIL = [{"fields": ["email"], "unique": True, "sparse": True}]


async def make(app: Litestar, *, indexes: Iterable[Any] = (), id_type: str | None = None) -> Collection:
    definition = {
        "name": "people",
        "schema": SCHEMA,
        "rules": {"read": "anyone", "create": "user"},
        "indexes": list(indexes),
        "options": {} if id_type is None else {"id_type": id_type},
    }
    return await change.create(services_of(app).registry, definition, None)


@pytest.fixture
async def people(app: Litestar) -> Collection:
    return await make(app)


async def load(collection: Collection, documents: Iterable[Any]) -> Loaded:
    return await loading.load(operator.access(collection), documents, PREFIX)


async def test_loaded_document_is_stored_like_created_one(
    people: Collection, client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    body = {"name": "Ann", "born": "1990-05-01", "seen": "2024-05-01T10:00:00+02:00"}
    assert await load(people, [body]) == Loaded(created=1)
    await client.post("/api/people", json=body, headers=ann)
    loaded, created = [document async for document in people.documents.find(sort=[("_id", 1)])]
    assert loaded["_id"] == ObjectId("650000000badcafe00000000")
    assert loaded["_owner"] is None
    assert loaded["_created_at"] == loaded["_updated_at"]
    own = {"_id", "_owner", "_created_at", "_updated_at"}
    assert list(loaded) == list(created)
    assert {name: loaded[name] for name in loaded if name not in own} == {
        name: created[name] for name in created if name not in own
    }
    shown = (await client.get("/api/people/650000000badcafe00000000")).json()["data"]
    assert {name: shown[name] for name in shown if not name.startswith("_")} == {
        "id": "650000000badcafe00000000",
        "name": "Ann",
        "born": "1990-05-01",
        "seen": "2024-05-01T08:00:00.000Z",
        "stars": 3,
    }


async def test_generated_ids_follow_order_of_documents(people: Collection) -> None:
    count = loading.MAXIMUM_BATCH_DOCUMENTS + 1500
    assert await load(people, ({"name": f"{number}"} for number in range(count))) == Loaded(created=count)
    names = [each["name"] async for each in people.documents.find({}, {"name": 1}, sort=[("_id", 1)])]
    assert names == [f"{number}" for number in range(count)]


async def test_existing_documents_are_skipped_unchanged(people: Collection) -> None:
    await load(people, [{"name": "Ann"}, {"name": "Bob"}])
    again = [{"name": "Anna"}, {"name": "Bobby"}, {"name": "Cy"}]
    assert await load(people, again) == Loaded(created=1, skipped=2)
    assert [each["name"] async for each in people.documents.find(sort=[("_id", 1)])] == ["Ann", "Bob", "Cy"]


async def test_refused_documents_do_not_prevent_others(people: Collection) -> None:
    documents = [
        {"name": "Ann"},
        {"name": 7},
        {"name": "Bob", "stars": -1},
        [],
        {"name": "Cy", "_version": 9},
        {"name": "Dan", "$set": 1},
        {"name": "Eve", "id": "650000000badcafe00000000"},
        {"born": "1990-05-01"},
        {"name": "Fay"},
    ]
    loaded = await load(people, documents)
    assert (loaded.created, loaded.skipped, loaded.refused) == (2, 0, 7)
    assert loaded.first_refusals == [
        Refusal(1, "/name: 7 is not a string"),
        Refusal(2, "/stars: -1 is less than the minimum of 0"),
        Refusal(3, "the document: the document is not an object"),
        Refusal(4, "/_version: `_version` is kept by the service"),
        Refusal(5, "/$set: `$set` cannot be the name of a field"),
    ]
    assert sorted(await people.documents.distinct("name")) == ["Ann", "Fay"]


async def test_duplicate_unique_value_is_refused_with_its_field(app: Litestar) -> None:
    people = await make(app, indexes=UNIQUE_EMAIL)
    documents = [
        {"name": "Ann", "email": "a@example.com"},
        {"name": "Bob", "email": "a@example.com"},
        {"name": "Cy"},
    ]
    taken = [Refusal(1, "/email: the value is taken")]
    assert await load(people, documents) == Loaded(created=2, refused=1, first_refusals=taken)
    assert await load(people, documents) == Loaded(skipped=2, refused=1, first_refusals=taken)


@pytest.mark.parametrize(
    ("id_type", "given"),
    [
        ("integer", [3, 1]),
        ("string", ["b", "a"]),
        ("uuid", ["0191e7a4-0000-7000-8000-000000000002", "0191e7a4-0000-7000-8000-000000000001"]),
        ("objectid", ["65000000000000000000000b", "65000000000000000000000a"]),
    ],
)
async def test_ids_in_documents_are_kept(
    app: Litestar, client: httpx.AsyncClient, id_type: str, given: list[Any]
) -> None:
    people = await make(app, id_type=id_type)
    documents = [{"id": each, "name": "Ann"} for each in given]
    assert await load(people, documents) == Loaded(created=2)
    assert await load(people, documents) == Loaded(skipped=2)
    listed = (await client.get("/api/people")).json()["data"]
    assert [each["id"] for each in listed] == sorted(given)


async def test_integer_ids_continue_from_largest_loaded_id(
    app: Litestar, client: httpx.AsyncClient, ann: dict[str, str]
) -> None:
    people = await make(app, id_type="integer")
    await load(people, [{"id": number, "name": "Ann"} for number in (7, 41, 3)])
    created = await client.post("/api/people", json={"name": "Bob"}, headers=ann)
    assert created.json()["data"]["id"] == 42


@pytest.mark.parametrize(
    ("document_id", "reason"),
    [
        (None, "the document has no `id`, and `people` makes none for imported documents"),
        ("x", "The id of a document of `people` is an integer"),
        (2**60, f"`{2**60}` is not an id of `people`: not within 53 bits"),
    ],
)
async def test_invalid_or_missing_id_is_refused(app: Litestar, document_id: Any, reason: str) -> None:
    people = await make(app, id_type="integer")
    document = {"name": "Ann"} if document_id is None else {"name": "Ann", "id": document_id}
    assert await load(people, [document]) == Loaded(refused=1, first_refusals=[Refusal(0, reason)])


async def test_large_documents_are_loaded_in_several_batches(people: Collection) -> None:
    text = "x" * (3 * 1024 * 1024)
    assert await load(people, ({"name": "Ann", "text": text} for _ in range(7))) == Loaded(created=7)


async def test_document_exceeding_mongodb_limit_is_refused(people: Collection) -> None:
    documents = [{"name": "Ann", "text": "x" * loading.MAXIMUM_DOCUMENT_BYTES}, {"name": "Bob"}]
    told = [Refusal(0, "The document would be larger than MongoDB's 16 MB")]
    assert await load(people, documents) == Loaded(created=1, refused=1, first_refusals=told)


async def test_interrupted_load_is_completed_by_second_load(people: Collection) -> None:
    batch = loading.MAXIMUM_BATCH_DOCUMENTS

    def documents() -> Iterator[dict[str, Any]]:
        yield from ({"name": f"{number}"} for number in range(3 * batch))

    def cut_off() -> Iterator[dict[str, Any]]:
        for number, document in enumerate(documents()):
            if number == 2 * batch + 1:
                raise InterruptedError
            yield document

    with pytest.raises(InterruptedError):
        await load(people, cut_off())
    assert await people.documents.count_documents({}) == 2 * batch
    assert await load(people, documents()) == Loaded(created=batch, skipped=2 * batch)


async def test_load_requires_right_to_create(people: Collection) -> None:
    with pytest.raises(SignInRequired):
        await loading.load(Access(people, ANONYMOUS), [{"name": "Ann"}], PREFIX)
    assert await people.documents.count_documents({}) == 0
