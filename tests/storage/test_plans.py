"""Read plans are data: made, printed and compared without a database."""

from dataclasses import replace

import pytest
from bson import ObjectId

from service.query import Compare, ListQuery, Selection, SortKey, parse_list, to_mongo
from service.query.fields import Field
from service.query.keyset import BY_ID, Place
from service.query.kinds import Kind
from service.query.tree import And
from service.storage.plans import ReadPlan, plan_list

NUMBER = Field(kinds=frozenset({Kind.NUMBER}))
TAGS = Field(kinds=frozenset({Kind.ARRAY}), items=Field(kinds=frozenset({Kind.STRING})))
FIELDS = Field(kinds=frozenset({Kind.OBJECT}), fields={"price": NUMBER, "stock": NUMBER, "tags": TAGS})

CHEAP = Compare(("price",), "lt", 5)
OWN = Compare(("_owner",), "eq", "ann")
PLACE = Place((7, ObjectId("5" * 24)))


def planned(*parameters: tuple[str, str]) -> ReadPlan:
    return plan_list("goods", FIELDS, parse_list(parameters, FIELDS))


def test_plan_is_what_the_parameters_ask_for() -> None:
    plan = planned(
        ("filter[price][lt]", "5"), ("sort", "-stock"), ("page", "3"), ("limit", "10"), ("fields", "price")
    )

    assert plan == ReadPlan(
        "goods",
        Compare(("price",), "lt", 5),
        replace(BY_ID, keys=[("stock", -1), ("_id", -1)], may_hold_arrays=(False, False)),
        limit=10,
        skip=20,
        projection={"_id": 1, "price": 1},
    )
    assert plan.filter == {"price": {"$lt": 5}}


def test_plan_says_what_it_reads() -> None:
    assert repr(planned(("filter[price][lt]", "5"), ("limit", "3"))) == (
        "ReadPlan(collection='goods', where=Compare(path=('price',), operator='lt', value=5), "
        "order=Order(keys=[('_id', 1)], may_hold_arrays=(False,), has_places=True), limit=3, skip=0, "
        "place=None, projection=None, search=None, count=None)"
    )


def test_plans_of_different_lists_differ() -> None:
    assert planned(("sort", "price")) == planned(("sort", "price"))
    assert planned(("sort", "price")) != planned(("sort", "-price"))
    assert planned(("count", "exact")) != planned(("count", "estimated"))


def test_command_of_simple_list_reads_one_more_than_the_page() -> None:
    plan = planned(("filter[price][lt]", "5"), ("page", "2"), ("limit", "3"))

    assert plan.command is not None
    assert plan.command.command() == {
        "find": "goods",
        "filter": {"price": {"$lt": 5}},
        "sort": {"_id": 1},
        "skip": 3,
        "limit": 4,
        "batchSize": 5,
    }


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(replace(planned(), search="oak"), id="search"),
        pytest.param(planned().at(Place(is_backward=True)), id="backward"),
        pytest.param(planned(("sort", "tags")), id="order by arrays"),
        pytest.param(planned(("sort", "price"), ("fields", "stock")), id="order by what is not read"),
    ],
)
def test_list_that_may_take_several_queries_has_no_command(plan: ReadPlan) -> None:
    assert plan.command is None


def test_rule_and_client_become_one_condition() -> None:
    plan = planned(("filter[price][lt]", "5"), ("limit", "3")).narrowed(OWN)

    assert plan.where == And((OWN, CHEAP))
    assert plan.filter == to_mongo(And((OWN, CHEAP))) == {"_owner": {"$eq": "ann"}, "price": {"$lt": 5}}
    assert plan.command is not None
    assert plan.command.where == plan.filter
    assert plan == replace(planned(("limit", "3")), where=And((OWN, CHEAP)))


def test_rule_on_the_same_field_is_anded() -> None:
    plan = planned(("filter[price][lt]", "5")).narrowed(Compare(("price",), "lt", 9))

    assert plan.filter == to_mongo(And((Compare(("price",), "lt", 9), CHEAP)))
    assert plan.filter == {"$and": [{"price": {"$lt": 9}}, {"price": {"$lt": 5}}]}


def test_place_of_cursor_narrows_the_command_alone() -> None:
    plan = planned(("filter[stock]", "1"), ("sort", "price"), ("page", "4"))
    there = plan.at(PLACE)

    assert there.filter == plan.filter
    assert there.condition() == {"stock": {"$eq": 1}}
    assert there.command is not None
    assert there.command.skip == 0
    first, beyond = there.command.where["$and"]
    assert first == {"stock": {"$eq": 1}}
    assert "$or" in beyond


def test_search_stands_at_the_top_of_the_condition() -> None:
    plan = replace(planned(("filter[price][lt]", "5")), search="oak desk")

    assert plan.condition() == {"$text": {"$search": "oak desk"}, "$and": [{"price": {"$lt": 5}}]}


def test_search_without_sort_gives_best_matches_first() -> None:
    plan = plan_list("goods", FIELDS, ListQuery(search="oak", selection=Selection((("price",),))))

    assert plan.order.keys == [("score", {"$meta": "textScore"}), ("_id", 1)]
    assert not plan.order.has_places


def test_list_has_one_name_whatever_is_shown_of_it() -> None:
    where = ("filter[price][lt]", "5")
    listed = planned(where, ("sort", "-stock")).list_id("goods 1")

    assert listed == planned(where, ("sort", "-stock"), ("page", "3"), ("fields", "price")).list_id("goods 1")
    assert listed != planned(where, ("sort", "stock")).list_id("goods 1")
    assert listed != planned(("sort", "-stock")).list_id("goods 1")
    assert listed != planned(where, ("sort", "-stock")).list_id("goods 2")


def test_plan_without_a_query_is_of_all_documents_by_id() -> None:
    assert ReadPlan("goods", limit=20) == plan_list("goods", FIELDS, ListQuery(sort=(SortKey(("id",)),)))
