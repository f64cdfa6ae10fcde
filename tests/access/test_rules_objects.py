import timeit
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import pytest
from bson import ObjectId

from service import schema as schemas
from service.access import rules
from service.access.decisions import REFUSED, Grant
from service.access.principals import ANONYMOUS, Principal
from service.access.rules import Rules, Verb
from service.query import And, Compare, Elem, Not, Or, parse_filter
from service.query.tree import Selection
from tests.pace import slowness

ROOT = schemas.compile(
    {
        "type": "object",
        "properties": {
            "status": {"type": "string"},
            "author": {"type": ["string", "null"]},
            "team": {"type": "string"},
            "level": {"type": "integer"},
            "is_open": {"type": "boolean"},
            "ref": {"type": "string", "format": "objectid"},
            "due": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "place": {"type": "object", "properties": {"city": {"type": "string"}}},
            "notes": {"type": "array", "items": {"type": "object", "properties": {"by": {"type": "string"}}}},
            "score": {"type": "number", "readOnly": True},
            "secret": {"type": "string", "writeOnly": True},
        },
        "additionalProperties": False,
    }
).root
ID = "65a000000000000000000001"
ANN = Principal(
    "user",
    ID,
    frozenset({"editor", "author"}),
    email="ann@example.com",
    is_email_verified=True,
    name="Ann",
    attributes={"team": "red", "teams": ["red", "blue"], "level": 3, "odd": {"a": 1}, "holey": ["x", None]},
)
BARE = Principal("user", "65a000000000000000000002", frozenset())
OWNED = Compare(("_owner",), "eq", ID)


def compiled(stated: Any) -> Rules:
    return rules.compile(stated, ROOT)


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        ({"author": "$user.id"}, Compare(("author",), "eq", ID)),
        ({"ref": {"eq": "$user.id"}}, Compare(("ref",), "eq", ObjectId(ID))),
        ({"_owner": {"ne": "$user.id"}}, Compare(("_owner",), "ne", ID)),
        (
            {"author": {"in": ["$user.email", "$user.name", "x"]}},
            Compare(("author",), "in", ("ann@example.com", "Ann", "x")),
        ),
        ({"team": {"in": "$user.roles"}}, Compare(("team",), "in", ("author", "editor"))),
        ({"team": {"nin": "$user.attributes.teams"}}, Compare(("team",), "nin", ("red", "blue"))),
        ({"tags": {"all": "$user.attributes.teams"}}, Compare(("tags",), "all", ("red", "blue"))),
        ({"tags": {"elem": {"eq": "$user.name"}}}, Elem(("tags",), Compare((), "eq", "Ann"))),
        ({"notes": {"elem": {"by": "$user.id"}}}, Elem(("notes",), Compare(("by",), "eq", ID))),
        ({"is_open": "$user.email_verified"}, Compare(("is_open",), "eq", True)),
        ({"level": {"lte": "$user.attributes.level"}}, Compare(("level",), "lte", 3)),
        ({"author": {"startswith": "$user.name"}}, Compare(("author",), "startswith", "Ann")),
        ({"status": "$$user.id"}, Compare(("status",), "eq", "$user.id")),
        ({"status": {"in": ["$$5", "5$"]}}, Compare(("status",), "in", ("$5", "5$"))),
        ({"not": {"team": "$user.attributes.team"}}, Not(Compare(("team",), "eq", "red"))),
        (
            {"or": [{"team": "x"}, {"author": "$user.id", "level": 1}]},
            Or(
                (
                    Compare(("team",), "eq", "x"),
                    And((Compare(("author",), "eq", ID), Compare(("level",), "eq", 1))),
                )
            ),
        ),
    ],
    ids=str,
)
def test_caller_values_take_type_of_compared_field(condition: Any, where: Any) -> None:
    found = compiled({"get": {"role": "anyone", "where": condition}})
    assert found.decide("get", ANN).where == where
    (alternative,) = found.alternatives("get")
    assert parse_filter(alternative.shown_where(ANN, datetime.now(UTC)), ROOT) == where


@pytest.mark.parametrize("condition", [{"author": "$user.email"}, {"author": {"ne": "$user.email"}}], ids=str)
def test_unverified_email_matches_nothing(condition: Any) -> None:
    found = compiled({"get": {"role": "anyone", "where": condition}})
    assert found.decide("get", ANN).allowed
    assert not found.decide("get", replace(ANN, is_email_verified=False)).allowed


@pytest.mark.parametrize(
    ("value", "offset"),
    [("$now", timedelta()), ("$now-7d", -timedelta(days=7)), ("$now+90m", timedelta(minutes=90))],
)
def test_now_is_time_of_decision(value: str, offset: timedelta) -> None:
    found = compiled({"get": {"role": "anyone", "where": {"at": {"lt": value}, "due": {"gte": value}}}})
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    where = found.decide("get", ANONYMOUS).where
    assert isinstance(where, And)
    moment, day = (part.value for part in where.parts if isinstance(part, Compare))
    assert isinstance(moment, datetime)
    assert before <= moment - offset <= datetime.now(UTC)
    assert day == moment.replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("operator", ["eq", "ne"])
@pytest.mark.parametrize(
    ("field", "value", "who"),
    [
        ("author", "$user.id", ANONYMOUS),
        ("is_open", "$user.email_verified", ANONYMOUS),
        ("author", "$user.email", BARE),
        ("author", "$user.name", BARE),
        ("team", "$user.attributes.team", BARE),
        ("team", "$user.attributes.level", ANN),
        ("team", "$user.attributes.odd", ANN),
        ("team", "$user.attributes.teams", ANN),
        ("level", "$user.attributes.team", ANN),
        ("ref", "$user.attributes.team", ANN),
    ],
)
def test_caller_without_fitting_value_is_not_admitted(
    operator: str, field: str, value: str, who: Principal
) -> None:
    condition = {field: {operator: value}}
    for narrowing in (condition, {"not": condition}, {"or": [{"status": "x"}, condition]}):
        assert compiled({"get": {"role": "anyone", "where": narrowing}}).decide("get", who) == REFUSED


def test_list_value_containing_null_admits_nobody() -> None:
    condition = {"team": {"nin": "$user.attributes.holey"}}
    assert compiled({"get": {"role": "user", "where": condition}}).decide("get", ANN) == REFUSED


def test_alternative_that_does_not_admit_leaves_others() -> None:
    stated = {"get": [{"role": "user", "where": {"team": "$user.attributes.team"}}, "owner"]}
    decision = compiled(stated).decide("get", BARE)
    assert [grant.position for grant in decision.grants] == [1]


def test_rule_object_compiles_to_grant_with_all_parts() -> None:
    whole = {
        "role": "owner",
        "where": {"status": "draft"},
        "check": {"status": {"in": ["draft", "review"]}, "author": "$user.id"},
        "set": {"author": "$user.id", "due": "$now", "tags": ["$user.name", "$$"], "score": 1},
        "fields": {"except": ["place.city", "secret"]},
    }
    (grant,) = compiled({"update": whole}).decide("update", ANN).grants
    today = datetime.now(UTC).date().isoformat()
    assert grant == Grant(
        0,
        And((OWNED, Compare(("status",), "eq", "draft"))),
        And((Compare(("status",), "in", ("draft", "review")), Compare(("author",), "eq", ID))),
        {"author": ID, "due": today, "tags": ["Ann", "$"], "score": 1},
        Selection((("place", "city"), ("secret",)), is_exclusion=True),
    )


def test_members_of_group_rule_apply_only_to_suitable_verbs() -> None:
    stated = {
        "write": {
            "role": "user",
            "where": {"status": "draft"},
            "check": {"level": 1},
            "set": {"team": "red"},
            "fields": ["status"],
        }
    }
    draft, first = Compare(("status",), "eq", "draft"), Compare(("level",), "eq", 1)
    fields = Selection((("status",),))
    found = compiled(stated)
    grants = {verb: found.decide(verb, BARE).grants for verb in rules.GROUPS["write"]}
    assert grants == {
        "create": (Grant(0, None, first, {"team": "red"}, fields),),
        "update": (Grant(0, draft, first, {"team": "red"}, fields),),
        "delete": (Grant(0, draft),),
    }


@pytest.mark.parametrize(
    ("fields", "selection"),
    [
        (["status"], Selection((("status",),))),
        ({"only": ["tags", "notes.by"]}, Selection((("notes", "by"), ("tags",)))),
        (["place", "place.city"], Selection((("place",),))),
        (
            {"except": ["_owner", "place.city"]},
            Selection((("_owner",), ("place", "city")), is_exclusion=True),
        ),
        ([], Selection(())),
    ],
    ids=str,
)
def test_fields_compile_to_selection(fields: Any, selection: Selection) -> None:
    (grant,) = compiled({"get": {"role": "anyone", "fields": fields}}).decide("get", ANONYMOUS).grants
    assert grant.fields == selection


@pytest.mark.parametrize("word", ["editor", "role:editor"])
def test_role_of_rule_object_may_omit_prefix(word: str) -> None:
    found = compiled({"get": {"role": word, "where": {"level": 1}}})
    assert [found.decide("get", who).allowed for who in (ANONYMOUS, BARE, ANN)] == [False, False, True]
    assert not compiled({"get": {"role": "nobody"}}).decide("get", ANN).allowed


@pytest.mark.parametrize(
    ("stated", "positions"),
    [
        (["user", "owner"], [0]),
        (["owner", {"role": "user", "fields": ["status"]}], [0, 1]),
        ([{"role": "user", "fields": ["status"]}, "owner"], [0, 1]),
        (["owner", "role:editor"], [1]),
        ([{"role": "user", "where": {"level": 1}}, "user", {"role": "user", "fields": ["status"]}], [0, 1]),
    ],
    ids=str,
)
def test_redundant_alternatives_are_left_out(stated: Any, positions: list[int]) -> None:
    decision = compiled({"get": stated}).decide("get", ANN)
    assert [grant.position for grant in decision.grants] == positions


def test_alternatives_after_unconditional_one_are_left_out() -> None:
    stated = [{"role": "user", "set": {"level": 1}}, "user", {"role": "user", "set": {"level": 2}}]
    decision = compiled({"create": stated}).decide("create", ANN)
    assert [dict(grant.forced) for grant in decision.grants] == [{"level": 1}, {}]


def test_decision_independent_of_caller_is_cached() -> None:
    stated = {
        "read": {"role": "anyone", "where": {"status": "x"}, "fields": ["status"]},
        "update": "role:editor",
    }
    found = compiled(stated)
    verbs: tuple[Verb, ...] = ("get", "update")
    for verb in verbs:
        assert found.decide(verb, ANN) is found.decide(verb, ANN)
    times = timeit.repeat(lambda: found.decide("get", ANN), number=1000, repeat=10, timer=process_time)
    assert min(times) < 0.005 * slowness(process_time)  # 5 µs each, twenty times what it takes
