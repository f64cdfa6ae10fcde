from typing import Any, ClassVar

import httpx
import pytest
from beanie import Document

from models.base import Stored
from service.collections import description as descriptions
from service.collections.registry import Registry
from service.collections.rule_tests import MAXIMUM_RULE_TESTS, MAXIMUM_RULE_TESTS_BYTES
from service.kit.errors import DefinitionInvalid, StartupFailure
from service.runtime.settings import Settings
from service.storage import database as databases
from tests.pace import within

ESSAYS: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {
            "status": {"enum": ["draft", "review", "published"], "default": "draft"},
            "title": {"type": "string"},
            "author": {"type": "string", "readOnly": True},
            "score": {"type": "number"},
            "at": {"type": "string", "format": "date-time"},
            "secret": {"type": "string", "writeOnly": True},
        },
        "required": ["title"],
        "additionalProperties": False,
    },
    "rules": {
        "read": [
            {"role": "anyone", "where": {"status": "published"}, "fields": ["title", "_owner"]},
            {"role": "owner", "fields": {"except": ["at"]}},
        ],
        "create": {
            "role": "user",
            "check": {"status": {"in": ["draft", "review"]}, "_owner": "$user.id"},
            "set": {"author": "$user.id"},
            "fields": {"except": ["score"]},
        },
        "update": [
            {"role": "owner", "where": {"status": {"ne": "published"}}, "fields": ["title", "status"]},
            {"role": "editor", "check": {"at": {"lte": "$now"}}, "set": {"at": "$now"}},
        ],
        "delete": {"role": "user", "where": {"_owner": "$user.id", "at": {"gt": "$now-1d"}}},
    },
}
OWNED = {"status": "published", "title": "A", "score": 1, "secret": "x", "_owner": "1"}
MINE = {"id": "1"}
DENIED = "create as `1`: the rules deny it. `/rules/create`: "


def outcome(*tests: Any, **parts: Any) -> list[tuple[str | None, str, str]]:
    """Return the pointer, code and detail of what is wrong with a definition that has these tests."""
    try:
        descriptions.parse({**ESSAYS, **parts, "rule_tests": list(tests)})
    except DefinitionInvalid as failure:
        return [(each.pointer, each.code, each.detail) for each in failure.errors]
    return []


@pytest.mark.parametrize(
    "test",
    [
        {"verb": "get", "document": OWNED, "expect": "allow", "fields": ["title"]},
        {"as": "anyone", "verb": "list", "document": {"status": "draft"}, "expect": "deny"},
        {"as": None, "verb": "create", "expect": "deny"},
        {"as": {}, "verb": "create", "expect": "allow"},
        {"as": {"roles": ["admin"]}, "verb": "delete", "document": {}, "expect": "allow"},
        {
            "as": MINE,
            "verb": "get",
            "document": OWNED,
            "expect": "allow",
            "fields": ["title", "score", "status"],
        },
        {"as": MINE, "verb": "create", "document": {"title": "A"}, "expect": "allow"},
        {
            "as": MINE,
            "verb": "create",
            "document": {"title": "A", "author": "2"},
            "expect": "allow",
            "result": {"author": "1", "status": "draft", "_owner": "1"},
        },
        {"as": MINE, "verb": "create", "document": {"status": "published"}, "expect": "deny"},
        {"as": MINE, "verb": "create", "document": {"score": 1}, "expect": "deny"},
        {
            "as": MINE,
            "verb": "update",
            "before": {"status": "draft", "_owner": "1"},
            "document": {"status": "published"},
            "expect": "allow",
            "result": {"status": "published", "_owner": "1"},
        },
        {"as": MINE, "verb": "update", "document": OWNED, "expect": "deny"},
        {
            "as": MINE,
            "verb": "update",
            "before": {"_owner": "1", "score": 1},
            "document": {"score": 2},
            "expect": "deny",
        },
        {
            "as": {"roles": ["editor"]},
            "verb": "update",
            "before": OWNED,
            "document": {"score": 2},
            "expect": "allow",
            "result": {"score": 2.0},
        },
        {
            "as": MINE,
            "verb": "delete",
            "document": {"_owner": "1", "at": "2999-01-01T00:00:00Z"},
            "expect": "allow",
        },
        {
            "as": MINE,
            "verb": "delete",
            "document": {"_owner": "1", "at": "2020-01-01T00:00:00Z"},
            "expect": "deny",
        },
    ],
    ids=str,
)
def test_passing_rule_test_is_accepted_and_its_opposite_refused(test: dict[str, Any]) -> None:
    assert outcome(test) == []
    opposite = "deny" if test["expect"] == "allow" else "allow"
    plain = {name: part for name, part in test.items() if name not in ("fields", "result")}
    assert [found[:2] for found in outcome({**plain, "expect": opposite})] == [("/rule_tests/0", "rule_test")]


@pytest.mark.parametrize(
    ("test", "found"),
    [
        (
            {"name": "x", "verb": "get", "document": {"status": "draft"}, "expect": "allow"},
            (
                "",
                "rule_test",
                "`x`: the rules deny it. No alternative that admits this caller is for this document.",
            ),
        ),
        (
            {"verb": "create", "expect": "allow"},
            ("", "rule_test", "create as anyone: the rules deny it. No alternative admits this caller."),
        ),
        (
            {"verb": "watch", "document": OWNED, "expect": "deny"},
            ("", "rule_test", "watch as anyone: the rules allow it. `/rules/read/0` allows it."),
        ),
        (
            {"as": MINE, "verb": "create", "document": {"score": 1}, "expect": "allow"},
            (
                "",
                "rule_test",
                DENIED + "its `fields` do not let `score` be written.",
            ),
        ),
        (
            {"as": MINE, "verb": "create", "document": {"status": "published"}, "expect": "allow"},
            (
                "",
                "rule_test",
                DENIED + "its `check` does not hold for the result.",
            ),
        ),
        (
            {"verb": "get", "document": OWNED, "expect": "allow", "fields": ["title", "status"]},
            ("/fields", "rule_test", "get as anyone: it shows `title`"),
        ),
        (
            {"as": MINE, "verb": "create", "document": {}, "expect": "allow", "result": {"author": "2"}},
            ("/result", "rule_test", "create as `1`: `author` is not that in the result"),
        ),
        (5, ("", "type", 'a test of rules is an object such as {"verb": "get", "expect": "deny"}')),
        ({"expect": "deny"}, ("/verb", "required", "`verb` is required")),
        (
            {"verb": "gte", "expect": "deny"},
            ("/verb", "enum", "`gte` is not one of list, get, create, update, delete, watch"),
        ),
        (
            {"verb": "get", "expect": "deny", "whom": 1},
            ("/whom", "additionalProperties", "`whom` cannot be given here"),
        ),
        ({"verb": "get", "expect": "no"}, ("/expect", "enum", "Input should be 'allow' or 'deny'")),
        (
            {"verb": "get", "expect": "deny", "as": {"id": 3}},
            ("/as/id", "type", "Input should be a valid string"),
        ),
        (
            {"verb": "get", "expect": "deny", "as": {"roles": ["A b"]}},
            ("/as/roles", "pattern", "not all of these can be a role's name"),
        ),
        (
            {"verb": "get", "expect": "deny", "as": "user"},
            (
                "/as",
                "type",
                'a caller is "anyone", null or an object such as {"id": "…", "roles": ["editor"]}',
            ),
        ),
        (
            {"verb": "get", "expect": "deny", "before": {}},
            ("/before", "form", "only a change has a document before it"),
        ),
        (
            {"verb": "delete", "expect": "allow", "document": {}, "fields": []},
            ("/fields", "form", "only a read shows fields"),
        ),
        (
            {"verb": "get", "expect": "allow", "result": {}},
            ("/result", "form", "only a write has a result"),
        ),
        (
            {"verb": "get", "expect": "deny", "document": {"at": "noon"}},
            ("/document/at", "format", '"noon" cannot be stored: not an RFC 3339 date-time'),
        ),
    ],
    ids=str,
)
def test_failing_rule_test_reports_outcome_with_pointer(test: Any, found: tuple[str, str, str]) -> None:
    pointer, code, detail = found
    assert outcome({"verb": "create", "expect": "deny"}, test) == [(f"/rule_tests/1{pointer}", code, detail)]


def test_rule_tests_are_bounded_in_number_and_size() -> None:
    deny = {"verb": "create", "expect": "deny"}
    assert outcome(*[deny] * MAXIMUM_RULE_TESTS) == []
    assert [each[:2] for each in outcome(*[deny] * (MAXIMUM_RULE_TESTS + 1))] == [
        ("/rule_tests", "max_items")
    ]
    large = {**deny, "document": {"title": "x" * MAXIMUM_RULE_TESTS_BYTES}}
    assert [each[:2] for each in outcome(large)] == [("/rule_tests", "too_complex")]
    with pytest.raises(DefinitionInvalid, match="not an array"):
        descriptions.parse({**ESSAYS, "rule_tests": {}})


ASKING = {"title": "y", "score": {"gt": 1}}


@pytest.mark.parametrize(
    ("verb", "alternative"),
    [
        ("get", {"where": ASKING}),
        ("create", {"check": ASKING}),
        ("create", {"check": {"title": "y"}, "set": {"title": "z" * 900}}),
        ("update", {"check": ASKING}),
    ],
)
def test_expensive_rule_tests_are_refused_quickly(verb: str, alternative: dict[str, Any]) -> None:
    rules = {verb: [{"role": "user", **alternative}] * 50}
    test = {"as": MINE, "verb": verb, "document": {"title": "x" * 1000}, "expect": "deny"}
    assert outcome(*[test] * 5, rules=rules) == []
    with within(1):
        (refused,) = outcome(*[test] * 200, rules=rules)
    assert refused[:2] == ("/rule_tests", "too_complex")


def test_value_set_by_rule_must_fit_schema() -> None:
    rules = {"create": {"role": "user", "set": {"status": "lost", "title": "x"}}}
    assert outcome(rules=rules) == [
        ("/rules/create/set/status", "enum", '"lost" is not one of "draft", "review", "published"')
    ]


class Essay(Stored, Document):
    """A class whose rules do not do what its tests say."""

    title: str

    rules: ClassVar[dict[str, Any]] = {"read": "anyone"}
    rule_tests: ClassVar[list[dict[str, Any]]] = [{"verb": "get", "expect": "deny"}]


def test_class_with_failing_rule_test_prevents_startup(settings: Settings) -> None:
    database = databases.connect(**settings.connection)
    with pytest.raises(StartupFailure) as caught:
        Registry(database, (Essay,), document_limit_bytes=1000)
    database.close()
    assert str(caught.value) == (
        "The class Essay cannot be served: /rule_tests/0: get as anyone: the rules allow it. "
        "`/rules/read` allows it."
    )


async def test_definition_change_with_failing_rule_test_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    tests = [{"name": "closed", "verb": "create", "expect": "deny"}]
    body = {"name": "essays", **ESSAYS, "rule_tests": tests}
    created = await client.post("/api/collections", json=body, headers=admin)
    assert created.status_code == 201
    assert created.json()["data"]["rule_tests"] == tests
    refused = await client.patch(
        "/api/collections/essays", json={"rules": {"create": "anyone"}}, headers=admin
    )
    assert refused.status_code == 400
    assert refused.json()["code"] == "definition.invalid"
    assert refused.json()["errors"] == [
        {
            "pointer": "/rule_tests/0",
            "code": "rule_test",
            "detail": "`closed`: the rules allow it. `/rules/create` allows it.",
        }
    ]
    kept = await client.get("/api/collections/essays", headers=admin)
    assert kept.json()["data"] == created.json()["data"]
    both = {"rules": {"create": "anyone"}, "rule_tests": []}
    assert (await client.patch("/api/collections/essays", json=both, headers=admin)).status_code == 200
