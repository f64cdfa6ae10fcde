from typing import Any

import pytest

from service.access import rules
from tests.access.test_rules_objects import ROOT

EVERY_UPDATE = "Any signed-in user may update every document."
EVERY_DELETE = "Any signed-in user may delete every document."

UNGUARDED = (
    "The `where` of `/rules/write` says nothing of new documents: any signed-in user may create any; "
    "add a `check`, or a rule for `create`."
)
UNREACHED = "`/rules/get/1` is never reached: `/rules/get/0` comes first and admits everybody whom it is for."

CHOSEN = "`/rules/create` goes by `$user.name`, which callers choose themselves."


@pytest.mark.parametrize(
    ("stated", "warnings"),
    [
        ({}, []),
        ({"read": "anyone", "create": "user", "update": ["owner", "role:editor"]}, []),
        ({"read": "anyone", "create": "anyone"}, ["Anyone may create documents without signing in."]),
        (
            {"read": "anyone", "write": "anyone", "delete": "nobody"},
            [
                "Anyone may create documents without signing in.",
                "Anyone may update documents without signing in.",
            ],
        ),
        ({"read": "anyone", "write": "user"}, [EVERY_UPDATE, EVERY_DELETE]),
        ({"read": "anyone", "update": {"role": "user", "fields": ["tags"]}}, []),
        ({"read": "anyone", "update": {"role": "user", "fields": {"except": ["tags"]}}}, [EVERY_UPDATE]),
        ({"read": "anyone", "update": {"role": "user", "where": {"level": 1}}}, []),
        (
            {"read": "anyone", "write": {"role": "user", "where": {"team": "$user.attributes.team"}}},
            [
                UNGUARDED,
            ],
        ),
        (
            {"read": "anyone", "write": {"role": "user", "where": {"level": 1}, "check": {"level": 1}}},
            [],
        ),
        ({"read": {"role": "user", "where": {"author": "$user.email"}}}, []),
        ({"create": {"role": "user", "check": {"author": "$user.name"}}}, [CHOSEN]),
        ({"create": {"role": "user", "set": {"author": "$user.email", "tags": ["$user.name"]}}}, []),
        ({"update": "role:x"}, ["Whoever has the role `x` may update documents, and get none of them."]),
        (
            {"get": "owner", "update": ["owner", "role:x"]},
            ["Whoever has the role `x` may update documents that they cannot get."],
        ),
        (
            {"get": ["user", "owner"]},
            [
                UNREACHED,
            ],
        ),
        ({"get": [{"role": "user", "fields": ["team"]}, "owner"]}, []),
        (
            {"get": "anyone", "update": {"role": "x", "fields": ["score", "tags"]}},
            ["`/rules/update/fields` names `score`, which is readOnly: no body can change it."],
        ),
        (
            {"get": {"role": "anyon"}},
            ["`/rules/get/role` is taken for the role `anyon`. Did you mean `anyone`?"],
        ),
        ({"get": "role:anyon"}, []),
    ],
    ids=str,
)
def test_questionable_rules_give_warnings(stated: Any, warnings: list[str]) -> None:
    assert rules.compile(stated, ROOT).warnings() == warnings
