"""Attacks by patches of every kind: none writes what is not the client's, none tells what is hidden."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from bson import ObjectId

from tests.attacks.conftest import AttackedService, Place, made
from tests.pace import within

LONG_S = 2.0
MERGE, STEPS, OPERATIONS = "merge-patch", "json-patch", "vnd.sheaf.operations"
STAFF: dict[str, Any] = {
    "name": "staff",
    "schema": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "roles": {"type": "array", "items": {"type": "string"}, "readOnly": True},
            "account": {"type": "object", "properties": {"is_admin": {"type": "boolean", "readOnly": True}}},
            "shown": {},
            "pin": {"type": "integer", "writeOnly": True},
            "codes": {"type": "array", "items": {"type": "string"}, "writeOnly": True},
            "keys": {"type": "array", "uniqueItems": True, "items": {"type": "string", "writeOnly": True}},
            "safe": {
                "type": "object",
                "properties": {"inner": {"type": "integer", "writeOnly": True}},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    },
    "rules": {"read": "anyone", "write": "user"},
}
SECRETS: dict[str, Any] = {"pin": 4711, "codes": ["c0de"], "keys": ["k3y"], "safe": {"inner": 4712}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def staff(attacked: AttackedService) -> AsyncIterator[str]:
    """Provide the path of a member of staff with a role, an account and secrets."""
    await made(attacked, "/api/collections", STAFF, "admin")
    created = await made(attacked, "/api/staff", {"name": "Ann", **SECRETS}, "ann")
    key = {"_id": ObjectId(created["id"])}
    attacked.database["staff"].update_one(key, {"$set": {"roles": ["clerk"], "account": {"is_admin": False}}})
    yield f"/api/staff/{created['id']}"


async def sent(attacked: AttackedService, path: str, kind: str, body: Any) -> httpx.Response:
    headers = {**attacked.people["ann"], "Content-Type": f"application/{kind}+json"}
    return await attacked.client.patch(path, content=json.dumps(body), headers=headers)


def step(name: str, path: str, **members: Any) -> list[dict[str, Any]]:
    return [{"op": name, "path": path, **members}]


NOT_WRITABLE: list[Any] = [
    (MERGE, {"roles": ["admin"]}),
    (MERGE, {"roles": None}),
    (MERGE, {"account": None}),
    (MERGE, {"account": {"is_admin": True}}),
    (STEPS, step("add", "/roles/-", value="admin")),
    (STEPS, step("replace", "/roles/0", value="admin")),
    (STEPS, step("replace", "/roles", value=["admin"])),
    (STEPS, step("remove", "/roles")),
    (STEPS, step("remove", "/roles/0")),
    (STEPS, step("copy", "/roles/-", **{"from": "/name"})),
    (STEPS, step("move", "/shown", **{"from": "/roles"})),
    (STEPS, step("remove", "/account")),
    (STEPS, step("replace", "/account", value={})),
    (STEPS, step("replace", "/account/is_admin", value=True)),
    (STEPS, step("replace", "", value={"roles": ["admin"]})),
    (STEPS, step("replace", "/_version", value=99)),
    (STEPS, step("remove", "/_owner")),
    (STEPS, step("replace", "/_owner", value="me")),
    (STEPS, step("move", "/name", **{"from": "/id"})),
    (OPERATIONS, {"push": {"roles": "admin"}}),
    (OPERATIONS, {"push": {"roles": {"each": ["admin"]}}}),
    (OPERATIONS, {"add_to_set": {"roles": "admin"}}),
    (OPERATIONS, {"pull": {"roles": "clerk"}}),
    (OPERATIONS, {"set": {"roles": ["admin"]}}),
    (OPERATIONS, {"set": {"roles.0": "admin"}}),
    (OPERATIONS, {"max": {"roles.0": "z"}}),
    (OPERATIONS, {"unset": ["roles"]}),
    (OPERATIONS, {"unset": ["account"]}),
    (OPERATIONS, {"set": {"account.is_admin": True}}),
    (OPERATIONS, {"unset": ["account.is_admin"]}),
    (OPERATIONS, {"inc": {"_version": 1}}),
    (OPERATIONS, {"set": {"_owner": "me"}}),
    (OPERATIONS, {"set": {"_created_at.x": 1}}),
    (OPERATIONS, {"unset": ["id"]}),
]


async def test_a6_patch_of_unwritable_field_returns_400(attacked: AttackedService, staff: str) -> None:
    before = attacked.stored()
    for kind, body in NOT_WRITABLE:
        answer = await sent(attacked, staff, kind, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "field.not_writable"), body
    assert attacked.stored() == before


ILLEGAL: list[Any] = [
    (MERGE, {"__class__": {}}),
    (MERGE, {"shown": {"$set": 1}}),
    (STEPS, step("add", "/__proto__", value={})),
    (STEPS, step("add", "/shown", value={"a.b": 1})),
    (STEPS, step("copy", "/$where", **{"from": "/name"})),
    (OPERATIONS, {"set": {"__class__.x": 1}}),
    (OPERATIONS, {"set": {"shown.$set": 1}}),
    (OPERATIONS, {"set": {"shown": {"$set": {"a": 1}}}}),
    (OPERATIONS, {"push": {"shown": {"$each": [1]}}}),
    (OPERATIONS, {"inc": {"shown.a\0b": 1}}),
    (OPERATIONS, {"$inc": {"shown": 1}}),
]


async def test_a4_patch_with_illegal_member_name_returns_400(attacked: AttackedService, staff: str) -> None:
    before = attacked.stored()
    for kind, body in ILLEGAL:
        answer = await sent(attacked, staff, kind, body)
        assert answer.status_code == 400, body
        assert answer.json()["code"] in {"document.invalid", "patch.invalid"}, body
    assert attacked.stored() == before


def readings(path: str, dotted: str, guess: Any) -> list[Any]:
    """Return patches whose outcome would tell of a field, if it could be looked at."""
    array = f"{path}/0" if isinstance(guess, list) else path
    return [
        (STEPS, step("test", path, value=guess)),
        (STEPS, step("test", array, value=guess)),
        (STEPS, step("copy", "/shown", **{"from": path})),
        (STEPS, step("move", "/shown", **{"from": path})),
        (STEPS, step("copy", "/shown", **{"from": array})),
        (OPERATIONS, {"inc": {dotted: 0}}),
        (OPERATIONS, {"max": {dotted: guess}}),
        (OPERATIONS, {"min": {dotted: guess}}),
        (OPERATIONS, {"push": {dotted: guess}}),
        (OPERATIONS, {"add_to_set": {dotted: guess}}),
        (OPERATIONS, {"pull": {dotted: guess}}),
    ]


def would_be_tried(body: Any, guess: Any) -> bool:
    """Return whether a patch of a field that is not in the schema fails because of that alone."""
    fitting = {"push", "add_to_set"} if isinstance(guess, list) else {"inc", "min", "max"}
    return isinstance(body, list) or body.keys() <= fitting


@pytest.mark.parametrize(
    ("path", "dotted", "guesses", "absent"),
    [
        ("/pin", "pin", [4711, 1], "/pim"),
        ("/codes", "codes", [["c0de"], ["x"]], "/coder"),
        ("/safe/inner", "safe.inner", [4712, 1], "/safe/innes"),
    ],
)
async def test_a7_failed_patch_does_not_reveal_hidden_field_or_value(
    attacked: AttackedService, staff: str, path: str, dotted: str, guesses: list[Any], absent: str
) -> None:
    before = attacked.stored()
    told: dict[str, dict[str, str]] = {}
    for place, guess in ((path, guesses[0]), (path, guesses[1]), (absent, guesses[0])):
        name = dotted if place == path else absent[1:].replace("/", ".")
        for kind, body in readings(place, name, guess):
            if place == absent and not would_be_tried(body, guess):
                continue
            answer = await sent(attacked, staff, kind, body)
            assert answer.status_code in {400, 409}, body
            problem = {**answer.json(), "request_id": "", "hint": ""}
            for error in problem["errors"]:
                error.pop("hint", None)
            last = place.rpartition("/")[2]
            text = json.dumps(problem).replace(place, "").replace(name, "").replace(f"`{last}`", "")
            told.setdefault(f"{place} {guess}", {})[json.dumps(body).replace(place, "").replace(name, "")] = (
                text
            )
    right, wrong, none = told.values()
    assert list(right.values()) == list(wrong.values())
    assert none.items() <= right.items()
    assert attacked.stored() == before


ORACLES: list[Any] = [
    (STEPS, step("test", "", value={"name": "Ann", **SECRETS})),
    (STEPS, step("test", "/safe", value={"inner": 4712})),
    (STEPS, step("test", "/keys", value=["k3y"])),
    (STEPS, step("test", "/keys/0", value="k3y")),
    (STEPS, step("add", "/keys/-", value="k3y")),  # refused, or the schema would say that it is there
    (STEPS, step("add", "/keys/1", value="x")),
    (STEPS, step("remove", "/keys/0")),
    (STEPS, step("add", "/codes/-", value="x")),
    (STEPS, step("add", "/pin/x", value=1)),
    (OPERATIONS, {"add_to_set": {"keys": "k3y"}}),
    (OPERATIONS, {"pull": {"keys": "k3y"}}),
    (OPERATIONS, {"set": {"keys.0": "x"}}),
    (OPERATIONS, {"set": {"codes.0": "x"}}),
    (OPERATIONS, {"unset": ["codes.0"]}),
]


async def test_a7_patch_probing_hidden_value_is_refused_without_revealing_it(
    attacked: AttackedService, staff: str
) -> None:
    before = attacked.stored()
    for kind, body in ORACLES:
        answer = await sent(attacked, staff, kind, body)
        assert answer.status_code in {400, 409}, body
        assert not any(secret in answer.text for secret in ("4711", "4712", "c0de")), body
    assert attacked.stored() == before


async def test_a39_copy_and_move_drop_hidden_values(attacked: AttackedService) -> None:
    created = await made(attacked, "/api/staff", {"name": "Bob", **SECRETS}, "ann")
    path = f"/api/staff/{created['id']}"
    for body in (
        step("copy", "/shown", **{"from": "/safe"}),
        step("copy", "/shown", **{"from": "/keys"}),
        step("move", "/shown", **{"from": "/safe"}),
    ):
        answer = await sent(attacked, path, STEPS, body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["shown"] in ({}, []), body
    stored = json.dumps(attacked.database["staff"].find_one({"_id": ObjectId(created["id"])}), default=str)
    assert "4712" not in stored
    whole = await sent(attacked, path, STEPS, step("copy", "/shown", **{"from": ""}))
    assert whole.status_code == 400  # the names of system fields cannot be a client's
    assert "k3y" not in whole.text


async def test_patch_of_hidden_field_succeeds_whether_or_not_it_exists(attacked: AttackedService) -> None:
    told = []
    for own in ({}, SECRETS):
        created = await made(attacked, "/api/staff", {"name": "Bob", **own}, "ann")
        path = f"/api/staff/{created['id']}"
        for kind, body in (
            (STEPS, step("replace", "/pin", value=1)),
            (STEPS, step("add", "/codes", value=["x"])),
            (STEPS, step("remove", "/codes")),
            (STEPS, step("remove", "/codes")),
            (OPERATIONS, {"set": {"pin": 2}, "unset": ["codes"]}),
            (OPERATIONS, {"unset": ["pin"]}),
        ):
            answer = await sent(attacked, path, kind, body)
            told.append((answer.status_code, "pin" in answer.text, "codes" in answer.text))
        stored = attacked.database["staff"].find_one({"_id": ObjectId(created["id"])})
        assert stored is not None
        assert {"pin", "codes"} & stored.keys() == set()
    assert told == [(200, False, False)] * 12


BOMBS: list[Any] = [
    (STEPS, step("add", "/description", value="x" * 100) + step("copy", "/tags", **{"from": "/tags"}) * 1001),
    (STEPS, step("copy", "/tags/-", **{"from": "/tags"}) * 900),
    (
        STEPS,
        step("add", "/tags/0", value="x" * 1000) * 990 + step("copy", "/tags/-", **{"from": "/tags"}) * 9,
    ),
    (STEPS, step("test", "/" * 5000, value=1)),
    (STEPS, step("add", "/name" + "/a" * 200, value=1)),
    (OPERATIONS, {"set": {".".join("a" * 200): 1}}),
    (OPERATIONS, {"unset": [f"f{number}" for number in range(2000)]}),
    (OPERATIONS, {"inc": {"price": 10**400}}),
    (OPERATIONS, {"set": {"tags.99999999999": "x"}}),
    (OPERATIONS, {"push": {"tags": {"each": ["x"] * 100_000}}}),
]


async def test_a14_patch_bomb_is_refused_quickly(attacked: AttackedService, place: Place) -> None:
    before = attacked.stored()
    for kind, body in BOMBS:
        with within(LONG_S, why=str(body)[:100]):
            answer = await sent(attacked, f"{place.path}/{place.mug['id']}", kind, body)
        assert answer.status_code in {400, 409, 413}, str(body)[:100]
    assert attacked.stored() == before
