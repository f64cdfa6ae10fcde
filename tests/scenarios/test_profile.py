import asyncio
from typing import Any

import httpx
import pytest

from models.user import User
from tests.scenarios.identity import PROFILE, SignUp, invalid, not_text, problem, unexpected

KEEPS_DEFINITIONS = True


async def test_profile_is_what_registration_answered(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    ann = await sign_up()
    answer = await client.get(PROFILE, headers=ann["headers"])
    assert (answer.status_code, answer.json()) == (200, {"data": ann["user"]})
    assert answer.headers["etag"] == '"1"'
    assert "hash" not in answer.text
    again = await client.get(PROFILE, headers={**ann["headers"], "If-None-Match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
@pytest.mark.parametrize("name", ["Anna", None])
async def test_profile_name_is_changed(
    client: httpx.AsyncClient, sign_up: SignUp, media_type: str, name: str | None
) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "content-type": media_type}
    answer = await client.patch(PROFILE, json={"name": name}, headers=headers)
    changed = answer.json()["data"]
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert changed == {**ann["user"], "name": name, "_version": 2, "_updated_at": changed["_updated_at"]}
    assert (await client.get(PROFILE, headers=ann["headers"])).json() == {"data": changed}


async def test_empty_profile_patch_changes_nothing(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    ann = await sign_up()
    answer = await client.patch(PROFILE, json={}, headers=ann["headers"])
    assert (answer.status_code, answer.json()) == (200, {"data": ann["user"]})


async def test_stale_profile_is_not_overwritten(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "If-Match": '"1"'}
    assert (await client.patch(PROFILE, json={"name": "One"}, headers=headers)).status_code == 200
    answer = await client.patch(PROFILE, json={"name": "Two"}, headers=headers)
    assert (answer.status_code, problem(answer)["_version"]) == (412, 2)
    assert (await client.get(PROFILE, headers=ann["headers"])).json()["data"]["name"] == "One"


async def test_concurrent_changes_from_one_version_let_one_succeed(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "If-Match": '"1"'}
    answers = await asyncio.gather(
        *(client.patch(PROFILE, json={"name": str(number)}, headers=headers) for number in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            {"roles": ["admin"], "email_verified": True, "_version": 9},
            [unexpected("roles"), unexpected("email_verified"), unexpected("_version")],
        ),
        ({"name": "Eve", "password_hash": "x"}, [unexpected("password_hash")]),
        ({"name": {"$set": "Eve"}}, [not_text("name")]),
    ],
)
async def test_profile_change_of_other_members_is_refused(
    client: httpx.AsyncClient, sign_up: SignUp, body: Any, errors: list[dict[str, str]]
) -> None:
    ann = await sign_up()
    answer = await client.patch(PROFILE, json=body, headers=ann["headers"])
    assert (answer.status_code, problem(answer)) == (400, invalid(*errors))
    assert (await client.get(PROFILE, headers=ann["headers"])).json() == {"data": ann["user"]}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json-patch+json", [{"op": "add", "path": "/roles/-", "value": "admin"}]),
        ("application/vnd.sheaf.operations+json", {"push": {"roles": "admin"}}),
    ],
)
async def test_profile_patch_of_another_type_is_refused(
    client: httpx.AsyncClient, sign_up: SignUp, media_type: str, body: Any
) -> None:
    ann = await sign_up()
    headers = {**ann["headers"], "content-type": media_type}
    answer = await client.patch(PROFILE, json=body, headers=headers)
    assert (answer.status_code, problem(answer)["code"]) == (415, "media_type.unsupported")
    assert (await client.get(PROFILE, headers=ann["headers"])).json() == {"data": ann["user"]}


@pytest.mark.parametrize("change", [{"$set": {"is_disabled": True}}, None])
async def test_token_of_a_closed_account_is_refused(
    client: httpx.AsyncClient, sign_up: SignUp, change: Any
) -> None:
    ann = await sign_up()
    everyone = User.find_all()
    await (everyone.delete() if change is None else everyone.update(change))
    for answer in (
        await client.get(PROFILE, headers=ann["headers"]),
        await client.patch(PROFILE, json={"name": "Ghost"}, headers=ann["headers"]),
    ):
        assert (answer.status_code, problem(answer)["detail"]) == (
            401,
            "The account of this access token is closed",
        )
