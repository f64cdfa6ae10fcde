"""Nobody learns by writing what they may not read: documents that differ only there are answered alike."""

from functools import partial
from typing import Any

import pytest

from tests.rules.papers import BULK_PATH, MERGE, OPERATIONS, STEPS, STORED, PapersCollection, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEEN = STORED | {"notes": [{"text": "a"}, {"text": "b"}], "place": {"city": "Oslo"}}
VARIANTS: list[dict[str, Any]] = [
    SEEN
    | {
        "secret": 1,
        "rank": 1,
        "notes": [{"text": "a", "hidden": "x"}, {"text": "b", "hidden": "y"}],
        "place": {"city": "Oslo", "zip": "0150"},
    },
    SEEN
    | {
        "secret": 100,
        "rank": -7,
        "notes": [{"text": "a", "hidden": "long" * 20}, {"text": "b", "hidden": "a"}],
        "place": {"city": "Oslo", "zip": ""},
    },
    {name: value for name, value in SEEN.items() if name not in {"secret", "rank"}},
]
"""The same document to who owns it, and not to an editor."""

MERGES: list[Any] = [
    {"title": "New"},
    {"secret": 1},
    {"secret": None},
    {"secret": {"a": 1}},
    {"secret": 101},
    {"rank": 1},
    {"rank": None},
    {"rank": {"a": 1}},
    {"notes": [{"text": "a"}]},
    {"notes": [{"text": "a", "hidden": "x"}]},
    {"notes": None},
    {"place": {"zip": "0150"}},
    {"place": {"zip": None}},
    {"place": {"city": "Rome"}},
    {"place": None},
    {"_owner": STORED["_owner"]},
]
ON_A_FIELD: list[tuple[str, dict[str, Any]]] = [
    ("test", {"value": 1}),
    ("test", {"value": "x"}),
    ("remove", {}),
    ("replace", {"value": "0150"}),
    ("add", {"value": 1}),
]
STEPS_SENT: list[Any] = [
    *(
        [{"op": op, "path": path, **more}]
        for path in ("/secret", "/rank", "/notes/0/hidden", "/place/zip")
        for op, more in ON_A_FIELD
    ),
    *(
        [{"op": op, "from": source, "path": "/title"}]
        for op in ("copy", "move")
        for source in ("/secret", "/rank", "/notes/1/hidden", "/place/zip")
    ),
    [{"op": "test", "path": "/notes", "value": [{"text": "a"}, {"text": "b"}]}],
    [{"op": "test", "path": "/place", "value": {"city": "Oslo"}}],
    [{"op": "move", "from": "/notes/0", "path": "/notes/1"}],
    [{"op": "copy", "from": "/notes/0", "path": "/notes/-"}],
    [{"op": "copy", "from": "/place", "path": "/notes/-"}],
    [{"op": "copy", "from": "", "path": "/place"}],
    [{"op": "remove", "path": "/notes/0"}],
    [{"op": "replace", "path": "", "value": whole({})}],
    [{"op": "replace", "path": "", "value": whole({"rank": 1})}],
]
OPERATIONS_SENT: list[Any] = [
    *(
        {name: {path: value}}
        for path in ("secret", "rank", "place.zip", "notes.0.hidden", "secret.a", "rank.0")
        for name, value in [
            ("inc", 1),
            ("min", 5),
            ("max", 5),
            ("push", 1),
            ("pull", 1),
            ("add_to_set", 1),
            ("set", 1),
        ]
    ),
    *({"unset": [path]} for path in ("secret", "rank", "place.zip", "notes.0.hidden", "place", "notes")),
    {"pull": {"notes": {"text": "a"}}},
    {"pull": {"notes": {"text": "a", "hidden": "x"}}},
    {"add_to_set": {"notes": {"text": "a"}}},
    {"add_to_set": {"notes": {"text": "a", "hidden": "x"}}},
    {"push": {"notes": {"text": "c"}}},
]
PUTS: list[Any] = [
    whole({}),
    whole({"secret": 1}),
    whole({"rank": 1}),
    whole({"rank": -7}),
    whole({"notes": [{"text": "b"}], "place": {}}),
    whole({"place": {"zip": "0150"}}),
    whole({"author": 5, "_version": 4, "id": "p1"}),
]


ARRAYS: list[tuple[Any, list[str | None]]] = [
    ([{"text": "a"}, {"text": "b"}], ["x", "y"]),
    ([{"text": "b"}, {"text": "a"}], ["y", "x"]),
    ([{"text": "b"}], ["y"]),
    ([{"text": "a"}, {"text": "changed"}], ["x", "y"]),
    ([{"text": "new"}, {"text": "a"}, {"text": "b"}], [None, "x", "y"]),
    ([{"text": "a", "hidden": "mine"}, {"text": "b"}], ["mine", "y"]),
]
"""Arrays that replace that of the first variant, and what is hidden in their elements then."""


def told(answer: Any) -> tuple[int, Any, str | None]:
    """Return what an answer tells, without what differs between any two requests."""
    body = answer.json() if answer.content else {}
    body.pop("request_id", None)
    if isinstance(body.get("data"), dict):
        body["data"].pop("_updated_at", None)
    return answer.status_code, body, answer.headers.get("etag")


REQUESTS: list[tuple[str, Any]] = [
    *((MERGE, body) for body in MERGES),
    *((STEPS, body) for body in STEPS_SENT),
    *((OPERATIONS, body) for body in OPERATIONS_SENT),
]


async def ask_all(papers: PapersCollection, send: Any) -> list[Any]:
    """Send the same to each of the variants."""
    answers = []
    for variant in VARIANTS:
        papers.reset(variant)
        answers.append(told(await send()))
    return answers


@pytest.mark.parametrize("form", [MERGE, STEPS, OPERATIONS])
async def test_patches_do_not_reveal_hidden_values(papers: PapersCollection, form: str) -> None:
    for _, body in (each for each in REQUESTS if each[0] == form):
        answers = await ask_all(papers, partial(papers.patch, "owner", form, body))
        assert answers[0] == answers[1] == answers[2], body


@pytest.mark.parametrize("form", [MERGE, OPERATIONS])
async def test_patches_by_filter_do_not_reveal_hidden_values(papers: PapersCollection, form: str) -> None:
    for _, body in (each for each in REQUESTS[::3] if each[0] == form):
        answers = await ask_all(papers, partial(papers.patch, "owner", form, body, BULK_PATH))
        assert answers[0] == answers[1] == answers[2], body


async def test_filters_of_bulk_changes_do_not_reveal_hidden_values(papers: PapersCollection) -> None:
    for name in ("secret", "rank", "place.zip", "notes.hidden"):
        path = f"/papers?filter[{name}][exists]=true&max_affected=5"
        answers = await ask_all(papers, partial(papers.patch, "owner", MERGE, {}, path))
        assert [status for status, *_ in answers] == [400, 400, 400], name
        assert answers[0] == answers[1] == answers[2], name


async def test_replacements_do_not_reveal_hidden_values(papers: PapersCollection) -> None:
    for body in PUTS:
        for path in ("/papers/p1", "/papers/p1?upsert=true"):
            answers = await ask_all(papers, partial(papers.send, "owner", "PUT", path, body))
            assert answers[0] == answers[1] == answers[2], body


async def test_batch_operations_do_not_reveal_hidden_values(papers: PapersCollection) -> None:
    for atomic in (True, False):
        for body in ({"rank": 1}, {"rank": None}, {"secret": 1}, {"place": {"zip": "0150"}}):
            send = partial(papers.batch, "owner", atomic=atomic, op="patch", id="p1", patch=body)
            answers = await ask_all(papers, send)
            assert answers[0] == answers[1] == answers[2], body


async def test_hidden_values_survive_replacement_of_arrays_and_documents(papers: PapersCollection) -> None:
    """Whole arrays and documents that come back as they were seen take nothing away."""
    kept = VARIANTS[0]
    seen = {"title": "Old", "author": "x", "status": "draft", "score": 1, "place": {"city": "Rome"}}
    for notes, expected in ARRAYS:
        for send in [
            partial(papers.send, "owner", "PUT", "/papers/p1", seen | {"notes": notes}),
            partial(papers.patch, "owner", MERGE, {"notes": notes, "place": {"city": "Rome"}}),
        ]:
            papers.reset(kept)
            assert (await send()).status_code == 200
            [stored] = papers.stored()
            assert [each.get("hidden") for each in stored["notes"]] == expected, notes
            assert stored["place"] == {"city": "Rome", "zip": "0150"}
            assert (stored["secret"], stored["rank"]) == (1, 1)
