"""Every write of a document yields its changes: which document, what it was and is, by whom, through what."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bson import DatetimeMS, ObjectId
from litestar import Litestar

from models.base import stored_now, utc_now
from service.access.principals import OPERATOR
from service.documents import loading
from service.documents.access import Access
from service.kit.errors import Contention
from service.storage.plans import Change, Create, Origin, ReleaseOwned
from service.transfer import imports
from service.transfer.sources import open_source
from tests import operator
from tests.services import services_of

DEFINITION: dict[str, Any] = {
    "name": "notes",
    "schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "count": {"type": "integer", "maximum": 100}},
        "additionalProperties": False,
    },
    "rules": {"read": "anyone", "create": "user", "update": "user", "delete": "user"},
    "indexes": [{"fields": ["title"], "unique": True, "sparse": True}],
    "options": {"id_type": "string"},
}
NOTES = "/api/notes"
OPERATIONS = {"Content-Type": "application/vnd.sheaf.operations+json"}


@pytest.fixture
async def notes(client: httpx.AsyncClient, admin: dict[str, str]) -> str:
    answer = await client.post("/api/collections", json=DEFINITION, headers=admin)
    assert answer.status_code == 201, answer.text
    return NOTES


@pytest.fixture
def changes(app: Litestar, notes: str) -> Iterator[list[Change]]:
    """All changes from now on, as those who subscribe see them."""
    seen: list[Change] = []
    feed = services_of(app).database.changes
    feed.subscribe(seen.extend)
    yield seen
    feed.unsubscribe(seen.extend)


def told(change: Change) -> tuple[str, Any, str, Any, Any, int | None]:
    """A change without whose it is and when: titles and counts stand for the documents."""

    def of(document: Any) -> Any:
        return None if document is None else document.get("title", document.get("count"))

    return change.collection, change.id, change.kind, of(change.before), of(change.after), change.version


async def make(client: httpx.AsyncClient, who: dict[str, str], **members: Any) -> str:
    answer = await client.post(NOTES, json={"id": "a", **members}, headers=who)
    assert answer.status_code == 201, answer.text
    return f"{NOTES}/{members.get('id', 'a')}"


async def test_create_replace_patch_and_delete_yield_what_was_and_is(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str], changes: list[Change]
) -> None:
    began = stored_now()
    path = await make(client, ann, title="one")
    answers = [
        await client.put(path, json={"title": "two"}, headers=ann),
        await client.patch(path, json={"title": "three"}, headers=ann),
        await client.patch(
            path,
            content=json.dumps([{"op": "replace", "path": "/title", "value": "four"}]),
            headers=ann | {"Content-Type": "application/json-patch+json"},
        ),
        await client.patch(path, content=json.dumps({"set": {"title": "five"}}), headers=ann | OPERATIONS),
        await client.delete(path, headers=ann),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 204]
    assert [told(change) for change in changes] == [
        ("notes", "a", "create", None, "one", 1),
        ("notes", "a", "update", "one", "two", 2),
        ("notes", "a", "update", "two", "three", 3),
        ("notes", "a", "update", "three", "four", 4),
        ("notes", "a", "update", "four", "five", 5),
        ("notes", "a", "delete", "five", None, 5),
    ]
    assert {change.through for change in changes} == {"request"}
    by = {change.by for change in changes}
    assert len(by) == 1
    assert by != {None}
    assert all(began <= change.at <= stored_now() for change in changes)
    stored = [change.after for change in changes[:5]]
    assert [change.before for change in changes[1:]] == stored, "each begins with what the last one stored"


async def test_upserts_yield_a_create_and_then_updates(
    client: httpx.AsyncClient, ann: dict[str, str], changes: list[Change], notes: str
) -> None:
    for title in ("one", "two"):
        await client.put(f"{notes}/a?upsert=true", json={"title": title}, headers=ann)
    await client.put(f"{notes}/b", json={"title": "three"}, headers=ann | {"If-None-Match": "*"})
    assert [told(change) for change in changes] == [
        ("notes", "a", "create", None, "one", 1),
        ("notes", "a", "update", "one", "two", 2),
        ("notes", "b", "create", None, "three", 1),
    ]


async def test_each_version_of_a_group_that_is_stored_at_once_is_yielded_in_order(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str], bob: dict[str, str], changes: list[Change]
) -> None:
    path = await make(client, ann, count=90)
    documents = services_of(app).registry.get("notes").documents
    replaced: list[Any] = []
    delegate = documents.delegate
    original = delegate.replace_one

    def counting(*arguments: Any, **options: Any) -> Any:
        replaced.append(arguments)
        return original(*arguments, **options)

    delegate.replace_one = counting
    try:
        answers = await asyncio.gather(
            *(
                client.patch(
                    path,
                    content=json.dumps({"inc": {"count": 1}}),
                    headers=(ann if number % 2 else bob) | OPERATIONS,
                )
                for number in range(20)
            )
        )
    finally:
        del delegate.replace_one
    written = [answer.json()["data"] for answer in answers if answer.status_code == 200]
    assert len(written) == 10, "the others would go beyond the maximum"
    assert len(replaced) < 10, "some were stored as one"
    made, *updates = changes
    assert told(made) == ("notes", "a", "create", None, 90, 1)
    assert [told(change) for change in updates] == [
        ("notes", "a", "update", 89 + version - 1, 89 + version, version) for version in range(2, 12)
    ]
    assert [change.before for change in updates[1:]] == [change.after for change in updates[:-1]]
    assert len({change.by for change in updates}) == 2, "each has its own author"
    owners = {each["_version"]: each["count"] for each in written}
    assert owners == {change.version: (change.after or {})["count"] for change in updates}


async def test_bulk_writes_yield_a_change_for_each_document(
    client: httpx.AsyncClient, ann: dict[str, str], changes: list[Change], notes: str
) -> None:
    bodies = [{"id": name, "count": number} for number, name in enumerate("abc")]
    assert (await client.post(notes, json=bodies, headers=ann)).status_code == 201
    some = f"{notes}?filter[count][gte]=1&max_affected=9"
    assert (await client.patch(some, json={"count": 2}, headers=ann)).json()["data"] == {
        "matched": 2,
        "changed": 1,
    }
    assert (await client.delete(some, headers=ann)).json()["data"]["changed"] == 2
    assert [told(change) for change in changes] == [
        ("notes", "a", "create", None, 0, 1),
        ("notes", "b", "create", None, 1, 1),
        ("notes", "c", "create", None, 2, 1),
        ("notes", "b", "update", 1, 2, 2),
        ("notes", "b", "delete", None, None, 2),
        ("notes", "c", "delete", None, None, 1),
    ]
    assert {change.through for change in changes} == {"bulk"}


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "each"])
async def test_batches_yield_their_changes_in_order(
    client: httpx.AsyncClient, ann: dict[str, str], changes: list[Change], notes: str, atomic: bool
) -> None:
    operations = [
        {"op": "create", "collection": "notes", "id": "a", "document": {"title": "one"}},
        {"op": "patch", "collection": "notes", "id": "a", "patch": {"title": "two"}},
        {"op": "replace", "collection": "notes", "id": "b", "document": {"title": "three"}, "upsert": True},
        {"op": "delete", "collection": "notes", "id": "a"},
    ]
    headers = ann | {"Idempotency-Key": str(uuid4())}
    for _ in range(2):  # the repeat changes nothing, and yields nothing
        answer = await client.post(
            "/api/batch", json={"atomic": atomic, "operations": operations}, headers=headers
        )
        assert [each["status"] for each in answer.json()["data"]] == [201, 200, 201, 204]
    assert [told(change) for change in changes] == [
        ("notes", "a", "create", None, "one", 1),
        ("notes", "a", "update", "one", "two", 2),
        ("notes", "b", "create", None, "three", 1),
        ("notes", "a", "delete", "two", None, 2),
    ]
    assert {change.through for change in changes} == {"batch"}


async def test_refused_writes_and_aborted_transactions_yield_nothing(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str], changes: list[Change], notes: str
) -> None:
    path = await make(client, ann, title="one")
    await make(client, ann, id="b", title="two")
    changes.clear()
    duplicate = {"op": "create", "collection": "notes", "id": "b", "document": {}}
    creation = {"op": "create", "collection": "notes", "id": "c", "document": {}}
    answers = [
        await client.post(notes, json={"id": "a"}, headers=ann),
        await client.post(notes, json={"unknown": 1}, headers=ann),
        await client.post(notes, json={"title": "anonymous"}),
        await client.post(notes, json=[{"id": "c"}, {"id": "b"}], headers=ann),
        await client.patch(path, json={"title": "two"}, headers=ann),
        await client.patch(path, json={"title": "x"}, headers=ann | {"If-Match": '"7"'}),
        await client.patch(f"{notes}?filter[title]=one&max_affected=9", json={"title": "one"}, headers=ann),
        await client.patch(f"{notes}?filter[title]=one&max_affected=9", json={"title": "two"}, headers=ann),
        await client.delete(f"{notes}/c", headers=ann),
        await client.post("/api/batch", json={"operations": [creation, duplicate]}, headers=ann),
    ]
    assert [answer.status_code for answer in answers] == [409, 400, 401, 409, 409, 412, 200, 409, 404, 409]
    with pytest.raises(Contention):
        await services_of(app).database.transaction(lambda: _written_and_failed(app))
    assert changes == []


async def _written_and_failed(app: Litestar) -> None:
    await operator.created(services_of(app).registry.get("notes"), {"id": "d"})
    raise Contention


async def test_a_transaction_yields_what_it_changed_once_it_is_committed(
    app: Litestar, changes: list[Change]
) -> None:
    collection = services_of(app).registry.get("notes")

    async def work() -> int:
        await operator.created(collection, {"id": "a", "title": "one"})
        await operator.created(collection, {"id": "b", "title": "two"})
        return len(changes)

    assert await services_of(app).database.transaction(work) == 0
    assert [change.id for change in changes] == ["a", "b"]


async def test_imports_yield_a_create_for_each_document_that_was_not_there(
    app: Litestar, changes: list[Change], tmp_path: Path
) -> None:
    path = tmp_path / "films.json"
    path.write_text(json.dumps([{"title": "one"}, {"title": "two"}]))
    for _ in range(2):
        for described in imports.describe(open_source(path)):
            await imports.bring(services_of(app).registry, described, described.source.documents())
    assert [(each.kind, dict(each.after or {})["title"], each.version) for each in changes] == [
        ("create", "one", 1),
        ("create", "two", 1),
    ]
    assert {(change.collection, change.through, change.by) for change in changes} == {
        ("films", "import", None)
    }
    notes = services_of(app).registry.get("notes")
    bodies = [{"id": "a", "title": "one"}, {"id": "a"}, {"id": "b", "title": "one"}, {"id": "c"}]
    changes.clear()
    loaded = await loading.load(Access(notes, OPERATOR), bodies, bytes(8))
    assert (loaded.created, loaded.skipped, loaded.refused) == (2, 1, 1)
    assert [(each.kind, each.id) for each in changes] == [("create", "a"), ("create", "c")]


@pytest.mark.parametrize("heir", [None, "somebody"])
async def test_releasing_an_owners_documents_yields_a_change_for_each(
    app: Litestar, changes: list[Change], heir: str | None
) -> None:
    notes = services_of(app).registry.get("notes")
    at = utc_now()
    system = {"_version": 3, "_created_at": at, "_updated_at": at, "_owner": "ann"}
    others = [{"_id": f"{number:04}", "count": number, **system} for number in range(450)]
    await notes.documents.insert_many([*others, {"_id": "hers", **system, "_owner": "bob"}])
    written = await notes.store.write(ReleaseOwned("ann", Origin("root", "removal"), heir))
    assert written.affected == 450
    assert [change.id for change in sorted(changes, key=lambda each: str(each.id))] == [
        each["_id"] for each in others
    ]
    kinds = {(each.kind, each.version, each.by, each.through) for each in changes}
    assert kinds == {("delete", 3, "root", "removal") if heir is None else ("update", 4, "root", "removal")}
    first = min(changes, key=lambda each: str(each.id))
    assert first.before == (await _as_read(others[0]))
    if heir is None:
        assert first.after is None
        assert await notes.documents.distinct("_owner") == ["bob"]
    else:
        assert first.after == await notes.documents.find_one({"_id": "0000"})
        assert await notes.documents.count_documents({"_owner": heir, "_version": 4}) == 450


async def _as_read(document: dict[str, Any]) -> dict[str, Any]:
    """A document as it is read: times have no zone."""
    return {
        name: part.replace(tzinfo=None) if name in {"_created_at", "_updated_at"} else part
        for name, part in document.items()
    }


async def test_a_deleted_collection_yields_that_all_of_it_went(
    client: httpx.AsyncClient, admin: dict[str, str], changes: list[Change], notes: str
) -> None:
    await make(client, admin, title="one")
    changes.clear()
    assert (await client.delete("/api/collections/notes?confirm=notes", headers=admin)).status_code in {
        200,
        204,
    }
    [change] = changes
    assert change[:6] == ("notes", None, "clear", None, None, None)
    assert (change.through, change.by is None) == ("definition", False)


async def test_deleting_a_document_that_cannot_be_decoded_yields_what_is_known(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str], changes: list[Change], notes: str
) -> None:
    path = await make(client, ann, title="one")
    too_late = DatetimeMS(400_000_000_000_000)  # Python's own times have no room for it
    await services_of(app).database.motor["notes"].update_one({"_id": "a"}, {"$set": {"title": too_late}})
    assert (await client.delete(path, headers=ann)).status_code == 204
    assert told(changes[-1]) == ("notes", "a", "delete", None, None, 1)


async def test_a_listener_that_fails_harms_neither_the_write_nor_other_listeners(
    client: httpx.AsyncClient, app: Litestar, ann: dict[str, str], notes: str
) -> None:
    seen: list[Change] = []

    def fail(_: Sequence[Change]) -> None:
        raise RuntimeError("broken")

    feed = services_of(app).database.changes
    feed.subscribe(fail)
    feed.subscribe(seen.extend)
    assert (await client.post(notes, json={"id": "a"}, headers=ann)).status_code == 201
    assert [change.id for change in seen] == ["a"]


async def test_a_write_returns_its_own_changes(app: Litestar, changes: list[Change]) -> None:
    at = stored_now()
    document = {"_version": 1, "_created_at": at, "_updated_at": at, "_owner": None}
    collection = services_of(app).registry.get("products")
    plan = Create(document, Origin(None, "request"), collection.description.options.id_kind)
    written = await collection.store.write(plan)
    assert list(written.changes) == changes
    assert isinstance(written.document["_id"], ObjectId)
    assert (written.affected, written.is_new, written.document) == (1, True, changes[0].after)
