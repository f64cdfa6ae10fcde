"""Lists as they are asked for: what is cached of them, and what is planned for each caller."""

from dataclasses import replace
from typing import Any

import pytest

from service.access.decisions import ALLOWED, Decision, Grant
from service.access.principals import ANONYMOUS
from service.access.rules import Verb
from service.collections.registry import Collection
from service.documents import lists
from service.documents.access import Access
from service.documents.expanding import References
from service.documents.lists import MAXIMUM_BYTES, MAXIMUM_KNOWN, ListCache
from service.kit.errors import ParameterInvalid
from service.query.cursors import Cursors
from service.query.keyset import Place
from service.query.tree import Compare, Or, Selection
from service.storage.plans import ReadPlan
from tests.services import services_of

KEEPS_DEFINITIONS = True

MASKED = Decision((Grant(fields=Selection((("name",),))),))
NARROWED = Decision((Grant(where=Compare(("price",), "gt", 5)),))


@pytest.fixture
def goods(app: Any) -> Collection:
    found: Collection = services_of(app).registry.get("products")
    return found


@pytest.fixture
def references(app: Any) -> References:
    return References(services_of(app).registry, ANONYMOUS)


class Decided(Access):
    """Access by a decision that no rule has made."""

    def __init__(self, collection: Collection, decision: Decision) -> None:
        super().__init__(collection, ANONYMOUS)
        self._decision = decision

    def decide(self, _: Verb) -> Decision:
        return self._decision


def test_repeated_list_query_is_parsed_once(goods: Collection, references: References) -> None:
    known = ListCache()
    first = known.parse(Decided(goods, ALLOWED), references, b"filter%5Bprice%5D%5Bgte%5D=3&sort=name&page=2")
    assert (
        known.parse(Decided(goods, ALLOWED), references, b"filter%5Bprice%5D%5Bgte%5D=3&sort=name&page=2")
        is first
    )
    assert first.repeated == "filter%5Bprice%5D%5Bgte%5D=3&sort=name"
    assert first.plan.filter == {"price": {"$gte": 3}}


def test_row_filter_does_not_change_cached_list_query(goods: Collection, references: References) -> None:
    known = ListCache()
    assert known.parse(Decided(goods, NARROWED), references, b"page=2") is known.parse(
        Decided(goods, ALLOWED), references, b"page=2"
    )


@pytest.mark.parametrize(
    ("decision", "query"),
    [
        (MASKED, b"page=2"),
        (ALLOWED, b"filter%5Bname%5D=" + b"x" * MAXIMUM_BYTES),
    ],
)
def test_masked_or_oversized_list_query_is_not_cached(
    goods: Collection, references: References, decision: Decision, query: bytes
) -> None:
    known = ListCache()
    asked = known.parse(Decided(goods, decision), references, query)
    assert known.parse(Decided(goods, decision), references, query) is not asked


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        (b"cursor=abc", b""),
        (b"cursor=abc&sort=name", b"sort=name"),
        (b"sort=name&cursor=abc", b"sort=name"),
        (b"sort=name&cursor=abc&limit=3", b"sort=name&limit=3"),
    ],
)
def test_list_query_with_cursor_uses_cached_plan(
    goods: Collection, references: References, query: bytes, whole: bytes
) -> None:
    known = ListCache()
    asked = known.parse(Decided(goods, ALLOWED), references, query)
    listed = known.parse(Decided(goods, ALLOWED), references, whole)
    assert asked.query == replace(listed.query, cursor="abc")
    assert asked.plan is listed.plan
    assert asked.list_id == listed.list_id
    assert asked.repeated == listed.repeated
    assert asked == ListCache().parse(Decided(goods, MASKED), references, query)


@pytest.mark.parametrize(
    "query",
    [
        b"cursor=abc&page=2",
        b"cursor=abc&cursor=abc",
        b"q=x&cursor=abc",
        b"cursor=&sort=name",
        b"cursor=%5f",
        b"cursor=A&%63ursor=B",
        b"cursor=A&%70age=3",
    ],
)
def test_ambiguous_cursor_parameters_are_parsed_as_without_cache(
    goods: Collection, references: References, query: bytes
) -> None:
    outcomes: list[Any] = []
    for decision in (ALLOWED, MASKED):
        try:
            outcomes.append(ListCache().parse(Decided(goods, decision), references, query).query)
        except ParameterInvalid as failure:
            outcomes.append(failure.errors)
    assert outcomes[0] == outcomes[1]


def test_new_definition_version_invalidates_cached_list_query(
    goods: Collection, references: References
) -> None:
    known = ListCache()
    first = known.parse(Decided(goods, ALLOWED), references, b"page=2")
    newer = replace(goods, version=goods.version + 1)
    assert known.parse(Decided(newer, ALLOWED), references, b"page=2") is not first


def test_invalid_list_query_is_refused_each_time(goods: Collection, references: References) -> None:
    known = ListCache()
    for _ in range(2):
        with pytest.raises(ParameterInvalid):
            known.parse(Decided(goods, ALLOWED), references, b"page=nonsense")


def test_oldest_list_query_is_evicted(goods: Collection, references: References) -> None:
    known = ListCache()
    first = known.parse(Decided(goods, ALLOWED), references, b"page=1")
    for number in range(MAXIMUM_KNOWN):
        known.parse(Decided(goods, ALLOWED), references, b"filter%%5Bprice%%5D=%d" % number)
    assert known.parse(Decided(goods, ALLOWED), references, b"page=1") is not first


# --- planned for a caller


CURSORS = Cursors("a secret of this test")


def planned(goods: Collection, references: References, decision: Decision, query: bytes) -> ReadPlan:
    access = Decided(goods, decision)
    return lists.plan(access, lists.parse(access, references, query), CURSORS)


def test_plan_of_a_cached_list_is_its_own_where_no_rule_narrows_it(
    goods: Collection, references: References
) -> None:
    access = Decided(goods, ALLOWED)
    asked = ListCache().parse(access, references, b"sort=price")
    assert lists.plan(access, asked, CURSORS) is asked.plan


def test_rule_narrows_the_plan_of_a_cached_list(goods: Collection, references: References) -> None:
    plan = planned(goods, references, NARROWED, b"filter%5Bname%5D=Mug")
    assert plan.filter == {"price": {"$gt": 5}, "name": {"$eq": "Mug"}}


def test_plan_is_of_the_documents_of_which_all_that_is_asked_for_is_shown(
    goods: Collection, references: References
) -> None:
    mine, cheap = Compare(("_owner",), "eq", "ann"), Compare(("price",), "lt", 9)
    decision = Decision((Grant(0, mine), Grant(1, cheap, fields=Selection((("name",),)))))

    by_name = planned(goods, references, decision, b"sort=name&fields=name")
    assert by_name.where == Or((mine, cheap))
    assert by_name.projection is None, "which grant holds may depend on any member"
    assert planned(goods, references, decision, b"sort=price").where == mine


def test_cursor_moves_the_plan(goods: Collection, references: References) -> None:
    listed = lists.parse(Decided(goods, ALLOWED), references, b"sort=price")
    cursor = CURSORS.write(listed.list_id, Place((7, "id"))) or ""
    query = b"sort=price&cursor=" + cursor.encode()

    for decision in (ALLOWED, NARROWED):
        assert planned(goods, references, decision, query).place == Place((7, "id"))
    with pytest.raises(ParameterInvalid, match="another list"):
        planned(goods, references, ALLOWED, query.replace(b"sort=price", b"sort=name"))
