"""The matrix of writing under rules, by path, who asks, and field: a refusal changes nothing."""

from typing import Any

import pytest

from tests.rules.papers import (
    BULK,
    CHANGES,
    CREATIONS,
    DELETIONS,
    HIDDEN,
    OWNER,
    ROLES,
    STORED,
    PapersCollection,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIELDS: dict[str, Any] = {
    "title": "New",  # writable
    "score": 9,  # not writable
    "author": "forged",  # forced
    "status": "published",  # the check refuses it
    "secret": 9,  # writable, and not readable
    "rank": 9,  # neither
}

REFUSED_TO_OWNERS = {"score": "/score", "rank": "/rank", "status": None}
"""With the pointer that the refusal has: it is for a field, or for what would become of the document."""


def problem_of(answer: Any) -> tuple[str, list[str]]:
    problem = answer.json()
    return problem["code"], [each["pointer"] for each in problem.get("errors", [])]


def assert_refused(answer: Any, field: str) -> None:
    """The refusal names the field that cannot be written, and of a check nothing."""
    assert answer.status_code == 403, answer.text
    code, pointers = problem_of(answer)
    assert code == "access.denied"
    pointer = REFUSED_TO_OWNERS[field]
    if pointer is not None:
        assert [each.endswith(pointer) for each in pointers] == [True]
    assert str(FIELDS[field]) not in answer.json()["detail"]


def own(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name[0] != "_"}


def shown_to(who: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the own members that somebody is shown."""
    sees_all = who in {"editor", "admin"}
    return {name: value for name, value in own(document).items() if sees_all or name not in HIDDEN}


def data_of(answer: Any) -> Any:
    data = answer.json()["data"]
    return data[0] if isinstance(data, list) else data


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("path", CREATIONS)
async def test_create_by_every_path_role_and_field(papers: PapersCollection, path: str, who: str) -> None:
    for field in FIELDS:
        await assert_creates(papers, path, who, field)


async def assert_creates(papers: PapersCollection, path: str, who: str, field: str) -> None:
    papers.reset()
    answer = await CREATIONS[path](papers, who, {field: FIELDS[field]})
    if who == "anonymous":
        assert answer.status_code == 401
        assert papers.stored() == []
        return
    if who in {"owner", "other"} and field in REFUSED_TO_OWNERS:
        assert_refused(answer, field)
        assert papers.stored() == []
        return
    assert answer.status_code == 201, answer.text
    [stored] = papers.stored()
    expected = {"title": "Old", "status": "draft", field: FIELDS[field]}
    user_id, roles = ROLES[who] or ("", ())
    if not roles:
        expected["author"] = user_id
    assert own(stored) == expected
    assert (stored["_owner"], stored["_version"]) == (user_id, 1)
    told = data_of(answer)
    assert own(told) == {"id": stored["_id"]} | shown_to(who, stored)


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("path", CHANGES)
async def test_update_by_every_path_role_and_field(papers: PapersCollection, path: str, who: str) -> None:
    for field in FIELDS:
        await assert_changes(papers, path, who, field)


async def assert_changes(papers: PapersCollection, path: str, who: str, field: str) -> None:
    papers.reset(STORED)
    answer = await CHANGES[path](papers, who, {field: FIELDS[field]})
    is_put = "PUT" in path or "put" in path
    if who in {"anonymous", "other"} or (who == "owner" and field in REFUSED_TO_OWNERS):
        if who == "anonymous":
            assert answer.status_code == 401
        elif who == "other":  # to whom there is no such document, so that an upsert makes one, of a taken id
            is_upsert = "upsert" in path and field not in REFUSED_TO_OWNERS
            refused = 403 if "upsert" in path else 404
            assert answer.status_code == (409 if is_upsert else refused), answer.text
        else:
            assert_refused(answer, field)
        assert papers.stored() == [STORED]
        return
    assert answer.status_code == 200, answer.text
    [stored] = papers.stored()
    before = own(STORED)
    if is_put:  # which leaves what cannot be written or seen as it is, and takes all else away
        kept = ("title", "status", *(("author", "score", *HIDDEN) if who == "owner" else ()))
        before = {name: before[name] for name in kept}
    expected = before | {field: FIELDS[field]} | ({"author": OWNER} if who == "owner" else {})
    assert own(stored) == expected
    assert stored["_version"] == STORED["_version"] + 1
    assert {name: stored[name] for name in ("_id", "_owner", "_created_at")} == {
        name: STORED[name] for name in ("_id", "_owner", "_created_at")
    }
    assert own(data_of(answer)) == {"id": "p1"} | shown_to(who, stored)


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("path", BULK)
async def test_bulk_update_by_every_path_role_and_field(
    papers: PapersCollection, path: str, who: str
) -> None:
    for field in FIELDS:
        await assert_changes_many(papers, path, who, field)


async def assert_changes_many(papers: PapersCollection, path: str, who: str, field: str) -> None:
    others = STORED | {"_id": "p9", "_owner": "somebody"}
    papers.reset(STORED, others)
    answer = await BULK[path](papers, who, {field: FIELDS[field]})
    if who == "anonymous":
        assert answer.status_code == 401
        assert papers.stored() == [STORED, others]
    elif who == "other":
        assert answer.json() == {"data": {"matched": 0, "changed": 0}}
        assert papers.stored() == [STORED, others]
    elif who == "owner" and field in REFUSED_TO_OWNERS:
        assert_refused(answer, field)
        assert [each["id"] for each in answer.json()["errors"]] == ["p1"]
        assert papers.stored() == [STORED, others]
    else:
        number = 1 if who == "owner" else 2
        unchanged = [others] if who == "owner" else []
        assert answer.json() == {"data": {"matched": number, "changed": number}}
        changed = own(STORED) | {field: FIELDS[field]} | ({"author": OWNER} if who == "owner" else {})
        stored = papers.stored()
        assert [own(each) for each in stored[:number]] == [changed] * number
        assert stored[number:] == unchanged


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("path", DELETIONS)
async def test_delete_by_every_path_and_role(papers: PapersCollection, path: str, who: str) -> None:
    papers.reset(STORED)
    answer = await DELETIONS[path](papers, who)
    if who in {"owner", "editor", "admin"}:
        assert answer.status_code in {200, 204}, answer.text
        assert papers.stored() == []
    else:
        is_bulk = path == "bulk DELETE"
        assert answer.status_code == (401 if who == "anonymous" else 200 if is_bulk else 404), answer.text
        assert papers.stored() == [STORED]
