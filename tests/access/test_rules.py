import timeit
from time import process_time
from typing import Any

import pytest

from service.access import rules
from service.access.decisions import ALLOWED, REFUSED, Decision, Grant
from service.access.principals import ANONYMOUS, Principal
from service.access.rules import GROUPS, VERBS, Verb
from service.kit.errors import DefinitionInvalid, Violation
from service.query.fields import Field
from service.query.tree import Compare
from tests.pace import slowness

FIELDS = Field()
ANN = Principal("user", "ann", frozenset())
EDITOR = Principal("user", "ed", frozenset({"editor"}))
ADMIN = Principal("user", "root", frozenset({"admin"}))

WORDS = "anyone, user, owner, nobody and role:<name>"
NO_RULE = "A rule is a word such as `owner`, an object with `role`, or a list of them"
NAMES = "read, write, list, get, create, update, delete, watch"


SECOND = Decision((Grant(position=1),))
"""The second alternative alone, which allows everything."""


def owned_by(user_id: str, position: int = 0) -> Decision:
    return Decision((Grant(position, Compare(("_owner",), "eq", user_id)),))


@pytest.mark.parametrize(
    ("words", "anonymous", "ann", "editor"),
    [
        ("anyone", ALLOWED, ALLOWED, ALLOWED),
        ("user", REFUSED, ALLOWED, ALLOWED),
        ("owner", REFUSED, owned_by("ann"), owned_by("ed")),
        ("role:editor", REFUSED, REFUSED, ALLOWED),
        ("nobody", REFUSED, REFUSED, REFUSED),
        (["nobody"], REFUSED, REFUSED, REFUSED),
        (["owner"], REFUSED, owned_by("ann"), owned_by("ed")),
        (["owner", "role:editor"], REFUSED, owned_by("ann"), SECOND),
        (["role:editor", "owner"], REFUSED, owned_by("ann", 1), ALLOWED),
        (["role:writer", "role:editor"], REFUSED, REFUSED, SECOND),
        (["owner", "user"], REFUSED, SECOND, SECOND),
        (["owner", "anyone"], SECOND, SECOND, SECOND),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["list", "get", "update", "delete", "watch"])
def test_widest_alternative_decides(
    verb: Verb, words: Any, anonymous: Decision, ann: Decision, editor: Decision
) -> None:
    compiled = rules.compile({verb: words}, FIELDS)
    assert [compiled.decide(verb, who) for who in (ANONYMOUS, ANN, EDITOR)] == [anonymous, ann, editor]
    assert compiled.decide(verb, ADMIN) == ALLOWED


def test_owner_rule_on_create_admits_signed_in_users() -> None:
    compiled = rules.compile({"create": "owner"}, FIELDS)
    assert [compiled.decide("create", who) for who in (ANONYMOUS, ANN, ADMIN)] == [REFUSED, ALLOWED, ALLOWED]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("stated", [{}, {"read": "nobody", "write": "nobody"}])
def test_verb_without_rule_is_closed_to_all_but_admins(verb: Verb, stated: Any) -> None:
    compiled = rules.compile(stated, FIELDS)
    assert [compiled.decide(verb, who) for who in (ANONYMOUS, ANN, EDITOR)] == [REFUSED] * 3
    assert compiled.decide(verb, ADMIN) == ALLOWED


@pytest.mark.parametrize("group", GROUPS)
def test_group_applies_to_its_verbs_only(group: str) -> None:
    compiled = rules.compile({group: "anyone"}, FIELDS)
    assert tuple(verb for verb in VERBS if compiled.decide(verb, ANONYMOUS).allowed) == tuple(
        verb for verb in VERBS if verb in GROUPS[group]
    )


@pytest.mark.parametrize("order", [1, -1])
def test_rule_of_verb_overrides_group_in_any_order(order: int) -> None:
    stated = {"read": "anyone", "get": "nobody", "write": "nobody", "create": "user"}
    compiled = rules.compile(dict(list(stated.items())[::order]), FIELDS)
    assert [verb for verb in VERBS if compiled.decide(verb, ANN).allowed] == ["list", "create", "watch"]


@pytest.mark.parametrize(
    ("stated", "violations"),
    [
        (None, [Violation('Rules are an object such as {"read": "anyone"}', "type", "/rules")]),
        ([], [Violation('Rules are an object such as {"read": "anyone"}', "type", "/rules")]),
        (
            {"raed": "anyone"},
            [
                Violation(
                    f"`raed` is not a verb; those are {NAMES}",
                    "verb",
                    "/rules/raed",
                    hint="Did you mean `read`?",
                )
            ],
        ),
        ({"a/b~c": 1}, [Violation(f"`a/b~c` is not a verb; those are {NAMES}", "verb", "/rules/a~1b~0c")]),
        (
            {"read": "anyon"},
            [
                Violation(
                    f"`anyon` is not one of {WORDS}", "word", "/rules/read", hint="Did you mean `anyone`?"
                )
            ],
        ),
        (
            {"update": ["owner", "editor"]},
            [
                Violation(
                    f"`editor` is not one of {WORDS}",
                    "word",
                    "/rules/update/1",
                    hint="Did you mean `role:editor`?",
                )
            ],
        ),
        ({"read": "$where"}, [Violation(f"`$where` is not one of {WORDS}", "word", "/rules/read")]),
        (
            {"read": "role:", "get": "role:A b"},
            [
                Violation(
                    "A role's name is a letter followed by at most 62 of a-z, 0-9, _ and -", "word", pointer
                )
                for pointer in ("/rules/read", "/rules/get")
            ],
        ),
        (
            {"read": [], "write": None, "get": [1, ["user"]]},
            [
                Violation(
                    "An empty list allows nobody; write `nobody` if that is meant", "minItems", "/rules/read"
                ),
                Violation(NO_RULE, "type", "/rules/write"),
                Violation(NO_RULE, "type", "/rules/get/0"),
                Violation(NO_RULE, "type", "/rules/get/1"),
            ],
        ),
        (
            {"read": ["nobody", "user"]},
            [Violation("`nobody` stands alone, not beside others", "word", "/rules/read")],
        ),
        (
            {"read": ["user"] * 51},
            [Violation("A rule has at most 50 alternatives", "maxItems", "/rules/read")],
        ),
    ],
    ids=str,
)
def test_invalid_rules_report_every_error(stated: Any, violations: list[Violation]) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        rules.compile(stated, FIELDS)
    assert list(caught.value.errors) == violations


def test_decision_is_fast() -> None:
    compiled = rules.compile({"update": ["owner", "role:editor"]}, FIELDS)
    times = timeit.repeat(lambda: compiled.decide("update", ANN), number=1000, repeat=10, timer=process_time)
    assert min(times) < 0.02 * slowness(process_time)  # 20 µs each, ten times what it takes
