from pathlib import Path
from typing import Any

import pytest

from service.access import rules
from service.access.rules import words
from service.access.rules.words import (
    MAXIMUM_ALTERNATIVES,
    MAXIMUM_MASK_FIELDS,
    MAXIMUM_NESTING,
    MAXIMUM_RULES_BYTES,
)
from service.kit.errors import DefinitionInvalid
from service.query.limits import table
from tests.access.test_rules_objects import ROOT

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rules.md"

MEMBERS = "role, where, check, set, fields"
NOTHING_THERE = "Nothing is there yet: test what is created with `check`."
AS_A_WHOLE = "A document is deleted as a whole: narrow with `where`."
DOLLARS = "Text that begins with `$` is written with `$$`."


def user(**members: Any) -> dict[str, Any]:
    return {"role": "user", **members}


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else "x"


@pytest.mark.parametrize(
    ("stated", "pointer", "code", "detail", "hint"),
    [
        (
            {"get": {"where": {"level": 1}}},
            "/rules/get",
            "required",
            "An alternative says in `role` whom it is for",
            'Write `"role": "user"` for whoever is signed in.',
        ),
        (
            {"get": user(wher={"level": 1})},
            "/rules/get/wher",
            "unknown",
            f"`wher` is not a member of an alternative; those are {MEMBERS}",
            "Did you mean `where`?",
        ),
        (
            {"get": ["owner", {"role": 5}]},
            "/rules/get/1/role",
            "type",
            "`role` is a word such as `user`, or a role's name",
            None,
        ),
        (
            {"get": {"role": "A b"}},
            "/rules/get/role",
            "word",
            "A role's name is a letter followed by at most 62 of a-z, 0-9, _ and -",
            None,
        ),
        (
            {"get": {"role": "nobody", "fields": ["team"]}},
            "/rules/get/role",
            "word",
            "`nobody` stands alone, without other members",
            None,
        ),
        (
            {"get": ["owner", {"role": "nobody"}]},
            "/rules/get",
            "word",
            "`nobody` stands alone, not beside others",
            None,
        ),
        (
            {"create": user(where={"level": 1})},
            "/rules/create/where",
            "member",
            "`where` means nothing for `create`",
            NOTHING_THERE,
        ),
        (
            {"read": user(check={"level": 1})},
            "/rules/read/check",
            "member",
            "`check` means nothing for `read`",
            "Nothing is written: narrow with `where`.",
        ),
        (
            {"get": user(set={"level": 1})},
            "/rules/get/set",
            "member",
            "`set` means nothing for `get`",
            "Nothing is written.",
        ),
        (
            {"delete": user(fields=["level"])},
            "/rules/delete/fields",
            "member",
            "`fields` means nothing for `delete`",
            AS_A_WHOLE,
        ),
        (
            {"get": user(where={})},
            "/rules/get/where",
            "type",
            "`where` is a filter with one condition at least",
            "Leave `where` out when there is no condition.",
        ),
        (
            {"update": user(check=[1])},
            "/rules/update/check",
            "type",
            "`check` is a filter with one condition at least",
            "Leave `check` out when there is no condition.",
        ),
        (
            {"get": user(where={"or": [{"level": 1}, {"levle": 2}]})},
            "/rules/get/where/or/1/levle",
            "unknown_field",
            "there is no field `levle`",
            "Did you mean `level`?",
        ),
        (
            {"get": user(where={"secret": "x"})},
            "/rules/get/where/secret",
            "unknown_field",
            "there is no field `secret`",
            "Did you mean `score`?",
        ),
        (
            {"get": user(where={"level": {"gtt": 1}})},
            "/rules/get/where/level/gtt",
            "unknown_operator",
            "there is no operator `gtt`",
            "Did you mean `gt`?",
        ),
        (
            {"get": user(where={"level": {"$gt": 1}})},
            "/rules/get/where/level/$gt",
            "unknown_operator",
            "there is no operator `$gt`",
            "Did you mean `gt`?",
        ),
        (
            {"get": user(where={"$where": "1"})},
            "/rules/get/where/$where",
            "unknown_field",
            "there is no field `$where`",
            None,
        ),
        (
            {"get": user(where={"level": "high"})},
            "/rules/get/where/level",
            "type",
            "`high` is not a number",
            None,
        ),
        (
            {"get": user(where={"author": {"in": ["$usr.id"]}})},
            "/rules/get/where/author/in",
            "value",
            "there is no value `$usr.id`",
            "Did you mean `$user.id`?",
        ),
        (
            {"get": user(where={"author": "$500"})},
            "/rules/get/where/author",
            "value",
            "there is no value `$500`",
            DOLLARS,
        ),
        (
            {"get": user(where={"author": "$user.attributes.a.b"})},
            "/rules/get/where/author",
            "value",
            "there is no value `$user.attributes.a.b`",
            DOLLARS,
        ),
        (
            {"get": user(where={"at": "$now-99999d"})},
            "/rules/get/where/at",
            "value",
            "`$now` can be moved by 36500 days at the most",
            None,
        ),
        (
            {"get": user(where={"level": "$user.email"})},
            "/rules/get/where/level",
            "type",
            "`$user.email` does not fit here: `ann@example.com` is not a number",
            None,
        ),
        (
            {"get": user(where={"team": {"in": "$user.id"}})},
            "/rules/get/where/team/in",
            "type",
            "`$user.id` does not fit here: `000000000000000000000000` is not a list",
            None,
        ),
        (
            {"get": user(where={"team": "$user.roles"})},
            "/rules/get/where/team",
            "type",
            "`$user.roles` does not fit here: the list is not text",
            None,
        ),
        (
            {"get": user(where={"level": "$now"})},
            "/rules/get/where/level",
            "type",
            "`$now` does not fit here: `2026-01-01T00:00:00.000Z` is not a number",
            None,
        ),
        (
            {"create": user(set={})},
            "/rules/create/set",
            "type",
            "`set` is an object of fields and their values, one at least",
            None,
        ),
        (
            {"create": user(set={"levle": 1})},
            "/rules/create/set/levle",
            "unknown_field",
            "there is no field `levle`",
            "Did you mean `level`?",
        ),
        (
            {"create": user(set={"place.city": "x"})},
            "/rules/create/set/place.city",
            "unknown_field",
            "`set` names top-level fields only",
            "Set `place` as a whole.",
        ),
        (
            {"create": user(set={"_owner": "$user.id"})},
            "/rules/create/set/_owner",
            "system_field",
            "`_owner` is kept by the service",
            None,
        ),
        (
            {"create": user(set={"level": None})},
            "/rules/create/set/level",
            "type",
            "null does not fit `level`",
            None,
        ),
        (
            {"create": user(set={"level": "$user.id"})},
            "/rules/create/set/level",
            "type",
            "what is not a number does not fit `level`",
            None,
        ),
        (
            {"create": user(set={"place": {"city": "$user.idd"}})},
            "/rules/create/set/place",
            "value",
            "there is no value `$user.idd`",
            "Did you mean `$user.id`?",
        ),
        (
            {"create": user(set={"tags": nested(MAXIMUM_NESTING + 1)})},
            "/rules/create/set/tags",
            "value",
            "a value may be nested 10 levels deep at the most",
            None,
        ),
        (
            {"get": user(fields="level")},
            "/rules/get/fields",
            "type",
            '`fields` is a list of paths, such as ["title"], {"only": ["title"]} or {"except": ["score"]}',
            None,
        ),
        (
            {"get": user(fields={"only": ["level"], "except": ["team"]})},
            "/rules/get/fields",
            "type",
            '`fields` is a list of paths, such as ["title"], {"only": ["title"]} or {"except": ["score"]}',
            None,
        ),
        (
            {"get": user(fields={"except": ["notes.0.by"]})},
            "/rules/get/fields/except/0",
            "form",
            "`fields` is of all elements of an array, not of one",
            "Write `notes.by`.",
        ),
        (
            {"get": user(fields={"except": []})},
            "/rules/get/fields/except",
            "minItems",
            "`except` names one field at least",
            "Leave `fields` out when nothing is left out.",
        ),
        (
            {"get": user(fields=["level"] * (MAXIMUM_MASK_FIELDS + 1))},
            "/rules/get/fields",
            "maxItems",
            "`fields` names 100 paths at the most",
            None,
        ),
        (
            {"get": user(fields=["level", 1])},
            "/rules/get/fields/1",
            "type",
            "a path is text such as `place.city`",
            None,
        ),
        (
            {"get": user(fields={"only": ["place.citty"]})},
            "/rules/get/fields/only/0",
            "unknown_field",
            "there is no field `place.citty`",
            "Did you mean `place.city`?",
        ),
        (
            {"get": user(fields=["secret"])},
            "/rules/get/fields/0",
            "write_only",
            "`secret` is writeOnly: nobody sees it anyway",
            None,
        ),
        (
            {"get": user(fields={"except": ["_version"]})},
            "/rules/get/fields/except/0",
            "system_field",
            "`_version` is always shown",
            None,
        ),
        (
            {"update": user(fields=["_owner"])},
            "/rules/update/fields/0",
            "system_field",
            "`_owner` is kept by the service: nobody writes it",
            None,
        ),
        (
            {"get": ["owner"] * (MAXIMUM_ALTERNATIVES + 1)},
            "/rules/get",
            "maxItems",
            "A rule has at most 50 alternatives",
            None,
        ),
        (
            {"create": user(set={"team": "x" * MAXIMUM_RULES_BYTES})},
            "/rules",
            "too_complex",
            "Rules have 65536 bytes of JSON at the most",
            None,
        ),
        (
            {"get": [user(where={"level": {"gt": 1, "lt": 5, "ne": 3}})] * 34},
            "/rules/get/33/where",
            "too_complex",
            "a query may have 100 conditions at the most",
            None,
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_invalid_rule_is_reported_with_pointer_code_and_hint(
    stated: Any, pointer: str, code: str, detail: str, hint: str | None
) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        rules.compile(stated, ROOT)
    (found,) = caught.value.errors
    assert (found.pointer, found.code, found.detail, found.hint) == (pointer, code, detail, hint)


def test_all_errors_of_rules_are_reported() -> None:
    stated = {"get": [user(where={"x": 1}), user(fields=["y"])], "fly": "user", "create": user(set={"z": 1})}
    with pytest.raises(DefinitionInvalid, match="4 faults") as caught:
        rules.compile(stated, ROOT)
    assert [each.pointer for each in caught.value.errors] == [
        "/rules/get/0/where/x",
        "/rules/get/1/fields/0",
        "/rules/fly",
        "/rules/create/set/z",
    ]


def test_write_only_field_may_be_listed_as_writable() -> None:
    rules.compile({"update": user(fields=["secret"], set={"secret": "x"})}, ROOT)


def test_rules_without_schema_are_checked_for_form_and_allow_nothing() -> None:
    found = rules.compile({"get": user(where={"nothing": 1}, fields=["x"]), "list": "anyone"}, None)
    assert found.alternatives("get") == found.alternatives("list") == ()
    with pytest.raises(DefinitionInvalid):
        rules.compile({"get": user(fields=5)}, None)


def test_limits_of_rules_are_documented() -> None:
    assert table(words.MEANINGS, vars(words)) in PAGE.read_text()
