"""Plans of writes are data: made without a database, compared, and applied to documents in memory."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, cast

import pytest

from models import Product
from service.access.principals import ANONYMOUS, OPERATOR, Principal
from service.collections import description as descriptions
from service.collections.registry import Collection
from service.documents import bulk, patches, writing
from service.documents.access import Access
from service.documents.apply_patch import ApplyPatch
from service.documents.preconditions import Expected, read
from service.documents.write_policy import WritePolicy
from service.documents.writing import Replacement
from service.kit.errors import (
    DocumentInvalid,
    Duplicate,
    FieldNotWritable,
    Forbidden,
    IdInvalid,
    PreconditionRequired,
    SignInRequired,
    Stale,
)
from service.query import Compare
from service.query.kinds import Kind
from service.query.parse import ChangeQuery
from service.storage.plans import Create, Delete, Document, Matching, Origin, Update, Upsert

ANN = Principal("user", "ann", frozenset())
OWNER = Compare(("_owner",), "eq", "ann")
PRESENT: Document = {
    "_id": "a",
    "title": "one",
    "_version": 4,
    "_created_at": datetime(2026, 1, 1),  # noqa: DTZ001  # as it is read
    "_updated_at": datetime(2026, 1, 1),  # noqa: DTZ001
    "_owner": "ann",
}


def collection(**description: Any) -> Collection:
    """A collection that nothing can be read from or written to."""
    described = {
        "schema": {
            "type": "object",
            "properties": {"title": {"type": "string"}, "count": {"type": "integer"}},
            "additionalProperties": False,
        },
        "rules": {"read": "anyone", "create": "user", "update": "owner", "delete": "owner"},
        "options": {"id_type": "string"},
    }
    return Collection(
        name="notes",
        uid="uid",
        version=1,
        source="runtime",
        model=Product,
        description=descriptions.parse(described | description),
        store=cast("Any", None),
        document_limit_bytes=1000,
        is_live=True,
    )


NOTES = collection()


def access(who: Principal = ANN, notes: Collection = NOTES) -> Access:
    return Access(notes, who)


def merge(body: Any) -> patches.Patch:
    return patches.read(patches.MERGE_PATCH, body)


def test_create_with_an_id_has_the_whole_document() -> None:
    plan = writing.create(access(), {"id": "a", "title": "one"})
    created = plan.document["_created_at"]
    assert plan == Create(
        {
            "_id": "a",
            "title": "one",
            "_version": 1,
            "_created_at": created,
            "_updated_at": created,
            "_owner": "ann",
        },
        Origin("ann", "request"),
    )


def test_create_without_an_id_says_which_kind_to_make() -> None:
    plan = writing.create(access(), {"title": "one"}, through="batch")
    assert (plan.id_kind, plan.build, "_id" in plan.document) == (Kind.STRING, None, False)
    assert plan.origin == Origin("ann", "batch")
    assert list(plan.under("made"))[:2] == ["_id", "title"]


def test_create_whose_rule_looks_at_the_id_is_built_once_there_is_one() -> None:
    rules = {"read": "anyone", "create": {"role": "user", "check": {"id": {"in": ["good"]}}}}
    plan = writing.create(access(notes=collection(rules=rules)), {"title": "one"})
    assert plan.under("good")["_id"] == "good"
    with pytest.raises(Forbidden):
        plan.under("bad")


@pytest.mark.parametrize(
    ("who", "body", "failure"),
    [
        (ANONYMOUS, {}, SignInRequired),
        (ANN, [], DocumentInvalid),
        (ANN, {"title": 1}, DocumentInvalid),
        (ANN, {"unknown": 1}, DocumentInvalid),
        (ANN, {"_owner": "bob"}, FieldNotWritable),
        (ANN, {"id": "a/b"}, IdInvalid),
    ],
    ids=str,
)
def test_create_is_refused_while_it_is_planned(who: Principal, body: Any, failure: type[Exception]) -> None:
    with pytest.raises(failure):
        writing.create(access(who), body)


def test_patch_is_within_the_rule_and_of_an_expected_version() -> None:
    mine, change, expected = access(), merge({"count": 1}), read('"4"', None)
    plan = writing.patch(mine, "a", change, expected)
    policy = WritePolicy.of(mine, "update")
    assert plan == Update("a", ApplyPatch(NOTES, policy, change, expected), OWNER, Origin("ann", "request"))
    outcome = plan.change.outcome(PRESENT)
    now = outcome.pop("_updated_at")
    assert outcome == {**{k: v for k, v in PRESENT.items() if k != "_updated_at"}, "count": 1, "_version": 5}
    assert now > PRESENT["_updated_at"]
    assert "count" not in PRESENT, "what was read stays as it was"
    with pytest.raises(Stale):
        plan.change.outcome(PRESENT | {"_version": 5})


def test_replace_puts_the_body_in_the_place_of_all_that_the_client_can_write() -> None:
    plan = writing.replace(access(), "a", {"count": 1}, None)
    assert plan.change == ApplyPatch(NOTES, WritePolicy.of(access(), "update"), Replacement({"count": 1}))
    outcome = plan.change.outcome(PRESENT)
    assert (outcome["count"], outcome["_version"], "title" in outcome) == (1, 5, False)


def test_put_is_an_update_or_an_upsert_as_the_request_says() -> None:
    mine, body = access(), {"title": "two"}
    assert type(writing.put(mine, "a", body, None, may_create=False)) is Update
    upsert = writing.put(mine, "a", body, None, may_create=True)
    assert isinstance(upsert, Upsert)
    assert upsert.update == writing.replace(mine, "a", body, None)
    assert upsert.create().document["_id"] == "a"
    matched = writing.put(mine, "a", body, read('"4"', None), may_create=True)
    assert isinstance(matched, Update)
    assert type(matched.absent()) is Stale, "with If-Match there has to be one"
    another = writing.put(mine, "a", {"id": "b"}, None, may_create=True)
    assert isinstance(another, Upsert)
    with pytest.raises(FieldNotWritable):
        another.create()
    with pytest.raises(IdInvalid):
        writing.put(access(notes=collection(options={})), "a", body, None, may_create=True)


def test_delete_is_within_the_rule() -> None:
    expected = Expected(None)
    assert writing.delete(access(), "a", expected) == Delete("a", OWNER, Origin("ann", "request"), expected)
    assert writing.delete(access(OPERATOR), "a", None) == Delete("a", None, Origin(None, "request"))


@pytest.mark.parametrize(
    "plan",
    [
        lambda mine: writing.patch(mine, "a", merge({}), None),
        lambda mine: writing.replace(mine, "a", {}, None),
        lambda mine: writing.delete(mine, "a", None),
        lambda mine: bulk.update(mine, ChangeQuery(None, "x", 9), merge({}), None),
        lambda mine: bulk.delete(mine, ChangeQuery(None, "x", 9), None),
    ],
)
def test_changes_are_refused_while_they_are_planned_without_a_demanded_version(
    plan: Callable[[Access], Any],
) -> None:
    with pytest.raises(PreconditionRequired):
        plan(access(notes=collection(options={"concurrency": "required"})))


def test_the_database_judges_unique_and_chosen_members() -> None:
    rules = {"read": "anyone", "update": [{"role": "user", "where": {"count": 1}, "fields": ["title"]}]}
    indexes = [{"fields": ["title"], "unique": True}]
    plan = writing.patch(access(notes=collection(rules=rules, indexes=indexes)), "a", merge({}), None)
    assert plan.change.watched() == {"title", "count"}


async def test_bulk_create_names_each_fault_by_its_index() -> None:
    plan = await bulk.create(access(), [{"id": "a"}, {"title": "one"}])
    assert [each.get("_id") for each in plan.documents] == ["a", None]
    assert (plan.id_kind, plan.origin) == (Kind.STRING, Origin("ann", "bulk"))
    with pytest.raises(DocumentInvalid) as caught:
        await bulk.create(access(), [{"title": 1}, {}, {"count": "x"}])
    assert [each.pointer for each in caught.value.errors] == ["/0/title", "/2/count"]
    with pytest.raises(Duplicate):
        await bulk.create(access(), [{"id": "a"}, {"id": "a"}])


def test_bulk_delete_is_of_what_the_filter_and_both_rules_let_through() -> None:
    where = Compare(("count",), "eq", 1)
    plan = bulk.delete(access(OPERATOR), ChangeQuery(where, "oak", 9), None)
    assert plan.matching == Matching(where, 9, "oak")
    assert bulk.delete(access(), ChangeQuery(None, "oak", 9), None).matching.where == OWNER
    with pytest.raises(Stale):
        bulk.delete(access(), ChangeQuery(where, None, 9), read('"4"', None))


async def test_bulk_update_yields_unaltered_documents_as_they_are() -> None:
    plan = bulk.update(access(), ChangeQuery(None, "oak", 9), merge({"title": "two"}), None)
    same = PRESENT | {"title": "two"}
    pairs = [pair async for pair in plan.change.outcomes(each_of(PRESENT, same))]
    (before, after), (kept, unaltered) = pairs
    assert (before, after["title"], after["_version"]) == (PRESENT, "two", 5)
    assert kept is same
    assert unaltered is same


async def test_bulk_update_raises_all_faults_at_the_end_each_with_its_id() -> None:
    plan = bulk.update(access(), ChangeQuery(None, "oak", 9), merge({"title": 1}), None)
    with pytest.raises(DocumentInvalid) as caught:
        _ = [pair async for pair in plan.change.outcomes(each_of(PRESENT, PRESENT | {"_id": "b"}))]
    assert [(each.id, each.pointer) for each in caught.value.errors] == [("a", "/title"), ("b", "/title")]


async def each_of(*documents: Document) -> AsyncIterator[Document]:
    for document in documents:
        yield document
