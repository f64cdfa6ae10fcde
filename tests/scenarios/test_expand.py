"""References expanded over HTTP, the same for code-first and runtime collections."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.access.decisions import ALLOWED
from service.access.principals import OPERATOR
from service.documents import encoding, expanding, reading, writing
from service.documents.expanding import References
from service.query.limits import MAXIMUM_EXPANDED_DOCUMENTS, MAXIMUM_EXPANDED_REFERENCES
from tests import operator
from tests.scenarios.library import ABSENT, LibraryService
from tests.services import services_of


async def test_list_with_expand_embeds_referenced_documents(library: LibraryService) -> None:
    named = library.documents
    old, young, book, draft = (named[name] for name in ("old", "young", "book", "draft"))
    found = await library.get("books", expand="author,editor,reviewers,comments.author")
    good, bad, hm = book["comments"]
    assert found == [
        {
            **book,
            "comments": [
                {**good, "_expanded": {"author": old}},
                {**bad, "_expanded": {"author": None}},
                {**hm, "_expanded": {"author": None} if "author" in hm else {}},
            ],
            "_expanded": {"author": young, "editor": old, "reviewers": [old, None, young, old, None]},
        },
        {
            **draft,
            "_expanded": {"author": young, "reviewers": []} | ({"editor": None} if "editor" in draft else {}),
        },
    ]
    assert {"password", "id", "_version", "_created_at", "_updated_at", "_owner"} - old.keys() == {"password"}


async def test_get_with_expand_returns_same_as_list(library: LibraryService) -> None:
    path = f"books/{library.documents['book']['id']}"
    expand = "author.mentor.company,comments.author"
    (of_list,) = await library.get("books", expand=expand, **{"filter[title]": "Book"})
    assert await library.get(path, expand=expand) == of_list


async def test_query_in_body_with_expand_returns_same_as_url(library: LibraryService) -> None:
    expand = "author.mentor.company,comments.author"
    for fields in ("title,author", "-comments,-author"):
        asked = {"expand": expand, "fields": fields, "sort": "title", "limit": "1"}
        in_url = (await library.client.get("/api/books", params=asked)).json()
        for named in (asked, asked | {"expand": expand.split(","), "fields": fields.split(",")}):
            answer = await library.client.post("/api/books/query", json=named | {"limit": 1})
            assert (answer.status_code, answer.json()) == (200, in_url)
    refused = await library.client.post("/api/books/query", json={"expand": ["author", "ledger"]})
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.required")


async def test_expand_works_on_every_cursor_page(library: LibraryService) -> None:
    asked = {"expand": "author", "fields": "title", "sort": "-title", "limit": "1"}
    shown: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await library.client.get("/api/books", params=asked | cursor)).json()
        shown += page["data"]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next"]}
    named = library.documents
    assert shown == [
        {"id": named[name]["id"], "title": named[name]["title"], "_expanded": {"author": named["young"]}}
        for name in ("draft", "book")
    ]


async def test_expand_follows_nested_references(library: LibraryService) -> None:
    named = library.documents
    found = await library.get(f"books/{named['book']['id']}", expand="author.mentor.company,author.company")
    mentor = {**named["old"], "_expanded": {"company": named["press"]}}
    young = {**named["young"], "_expanded": {"mentor": mentor, "company": None}}
    assert found == {**named["book"], "_expanded": {"author": young}}


async def test_expand_of_circular_references_ends_at_given_path(library: LibraryService) -> None:
    named = library.documents
    found = await library.get(f"books/{named['book']['id']}", expand="editor.favourite.editor")
    favourite = {**named["book"], "_expanded": {"editor": named["old"]}}
    assert found == {
        **named["book"],
        "_expanded": {"editor": {**named["old"], "_expanded": {"favourite": favourite}}},
    }


async def test_expand_queries_each_collection_once_per_level(
    library: LibraryService,
) -> None:
    database = library.database
    expand = "author.mentor.company,author.company,editor,reviewers,comments.author,comments.author.company"
    database.command("profile", 2)
    await library.get("books", expand=expand)
    database.command("profile", 0)
    asked = [each["ns"].partition(".")[2] for each in database["system.profile"].find({"op": "query"})]
    database.drop_collection("system.profile")
    # The mentor is an author whom a reviewer's reference has led to already.
    assert asked == ["books", "authors", "companies"]


REFUSED: list[tuple[str, list[tuple[str, str, str | None]]]] = [
    ("autor", [("unknown_field", "there is no field `autor`", "Did you mean `author`?")]),
    ("informant", [("unknown_field", "there is no field `informant`", None)]),
    ("author.password", [("unknown_field", "there is no field `author.password`", None)]),
    (
        "author.compny",
        [("unknown_field", "there is no field `author.compny`", "Did you mean `author.company`?")],
    ),
    (
        "comments.autor",
        [("unknown_field", "there is no field `comments.autor`", "Did you mean `comments.author`?")],
    ),
    (
        "comments.0.author",
        [("unknown_field", "there is no field `comments.0.author`", "Did you mean `comments.author`?")],
    ),
    ("series.name", [("unknown_field", "there is no field `series.name`", None)]),
    ("-author", [("unknown_field", "there is no field `-author`", "Did you mean `author`?")]),
    ("", [("unknown_field", "there is no field ``", None)]),
    ("title", [("type", "`title` is no reference: its schema has no `x-collection`", None)]),
    (
        "comments",
        [
            (
                "type",
                "`comments` is no reference: its schema has no `x-collection`",
                "Did you mean `comments.author`?",
            )
        ],
    ),
    ("id", [("type", "`id` is no reference: its schema has no `x-collection`", None)]),
    ("author.name", [("type", "`author.name` is no reference: its schema has no `x-collection`", None)]),
    ("author,author", [("repeated", "`author` is named twice", None)]),
    (
        "author.mentor.mentor.mentor",
        [("too_complex", "`expand` follows 3 references one after the other at the most", None)],
    ),
    (
        ",".join(["author"] * 11),
        [("too_complex", "`expand` may name 10 references at the most", None)],
    ),
]


@pytest.mark.parametrize(("expand", "told"), REFUSED)
async def test_invalid_expand_returns_400_with_hint(
    library: LibraryService, expand: str, told: list[Any]
) -> None:
    path = f"books/{library.documents['book']['id']}"
    assert await library.refusal("books", expand=expand) == (400, told)
    assert await library.refusal(path, expand=expand) == (400, told)


async def test_expand_requires_right_to_read_target_collection(library: LibraryService) -> None:
    detail = "`expand` needs the right to read documents of `ledgers`"
    for path in ("books", f"books/{library.documents['book']['id']}"):
        anonymous = await library.refusal(path, expand="ledger")
        assert anonymous == (401, [("auth.required", detail, None)])
        # The fields of the collection are not told either.
        bob = await library.refusal(path, "bob", expand="ledger.nothing")
        assert bob == (403, [("access.denied", detail, None)])
        shown = await library.get(path, "accountant", expand="ledger")
        book = shown if isinstance(shown, dict) else shown[0]
        assert book["_expanded"]["ledger"] == library.documents["ledger"]


async def test_expanded_document_hidden_by_rule_is_null(library: LibraryService) -> None:
    path = f"books/{library.documents['book']['id']}"
    assert (await library.get(path, "ann", expand="diary"))["_expanded"] == {
        "diary": library.documents["diary"]
    }
    assert (await library.get(path, "bob", expand="diary"))["_expanded"] == {"diary": None}
    assert (await library.refusal(path, None, expand="diary"))[0] == 401


async def test_expand_into_missing_collection_returns_null(library: LibraryService) -> None:
    path = f"books/{library.documents['book']['id']}"
    assert (await library.get(path, expand="series"))["_expanded"] == {"series": None}


async def test_expanded_deleted_document_is_null(library: LibraryService) -> None:
    author = await library.make("authors", {"name": "Gone"})
    book = await library.make("books", {"title": "Left", "author": author["id"]})
    answer = await library.client.delete(f"/api/authors/{author['id']}", headers=library.people["admin"])
    assert answer.status_code == 204
    shown = await library.get(f"books/{book['id']}", expand="author")
    assert shown == {**book, "_expanded": {"author": None}}
    await library.client.delete(f"/api/books/{book['id']}", headers=library.people["admin"])


async def test_expand_follows_creation_and_deletion_of_target_collection(library: LibraryService) -> None:
    path = f"books/{library.documents['book']['id']}"
    series = {
        "name": "series",
        "schema": {"type": "object", "properties": {"name": {"type": "string"}}},
        "rules": {"read": "anyone"},
        "options": {"id_type": "string"},
    }
    await library.make("collections", series, "admin")
    made = await library.make("series", {"id": "s", "name": "Series"}, "admin")
    assert (await library.get(path, expand="series"))["_expanded"] == {"series": made}
    removed = await library.client.delete(
        "/api/collections/series?confirm=series", headers=library.people["admin"]
    )
    assert removed.status_code == 200
    assert (await library.get(path, expand="series"))["_expanded"] == {"series": None}


async def test_expand_above_limits_returns_400(library: LibraryService) -> None:
    hint = "Ask for fewer documents by `limit`, or for fewer references."
    authors = library.database["authors"]
    large = [{"name": "Large", "bio": "x" * 900_000} for _ in range(19)]
    ids = [str(each) for each in authors.insert_many(large).inserted_ids]
    for reviewers, what in (
        ([ABSENT] * (MAXIMUM_EXPANDED_REFERENCES + 1), "follow more than 10000 references"),
        ([f"{n:024x}" for n in range(MAXIMUM_EXPANDED_DOCUMENTS + 1)], "read more than 1000 documents"),
        (ids, "read more than 16777216 bytes"),
        (ids[:1] * 19, "add more than 16777216 bytes"),
    ):
        book = await library.make("books", {"title": "Much", "reviewers": reviewers})
        refusal = await library.refusal(f"books/{book['id']}", expand="reviewers")
        assert refusal == (400, [("too_complex", f"`expand` would {what}", hint)])
        await library.client.delete(f"/api/books/{book['id']}", headers=library.people["admin"])
    authors.delete_many({"name": "Large"})


async def test_expand_in_transaction_includes_uncommitted_documents(library: LibraryService) -> None:
    registry = services_of(library.app).registry
    books, references = registry.get("books"), References(registry, OPERATOR)

    async def work() -> dict[str, Any]:
        author = await operator.created(registry.get("authors"), {"name": "New"})
        body = {"title": "New", "author": str(author["_id"])}
        book = await operator.created(books, body)
        access = operator.access(books)
        read = await reading.get_decoded(access, book["_id"])
        plan = reading.parse(access, references, b"expand=author")
        (shown,) = await expanding.views(references, books, ALLOWED, [read], plan)
        await books.store.write(writing.delete(access, book["_id"], None))
        return shown

    shown = await services_of(library.app).database.transaction(work)
    assert json.loads(encoding.dump(shown))["_expanded"]["author"]["name"] == "New"


FIVE = "5" * 24
SEVEN = str(UUID(int=7))

ID_TYPES: list[tuple[str, Any, dict[str, Any], Any]] = [
    ("objectid", FIVE, {"type": "string"}, FIVE),
    ("objectid", FIVE, {"type": "string", "format": "objectid"}, FIVE),
    ("uuid", SEVEN, {"type": "string"}, SEVEN),
    ("uuid", SEVEN, {"type": "string", "format": "uuid"}, SEVEN),
    ("string", "a.b é", {"type": "string"}, "a.b é"),
    ("string", FIVE, {"type": "string", "format": "objectid"}, FIVE),
    ("string", "12", {"type": "integer"}, 12),
    ("integer", -3, {"type": "integer"}, -3),
    ("integer", 2**53 - 1, {"type": "string", "format": "int64"}, str(2**53 - 1)),
    ("integer", 12, {"type": "string"}, "12"),
]


async def test_expand_matches_references_of_every_id_type(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    async def make(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await client.post(f"/api/{path}", json=body, headers=admin)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()["data"]
        return made

    properties = {
        f"to{position}": {**schema, "x-collection": f"of-{id_type}"}
        for position, (id_type, _, schema, _) in enumerate(ID_TYPES)
    }
    await make("collections", {"name": "all", "schema": {"type": "object", "properties": properties}})
    targets: dict[tuple[str, Any], Any] = {}
    for id_type in ("objectid", "uuid", "string", "integer"):
        definition = {"name": f"of-{id_type}", "schema": {"type": "object"}, "options": {"id_type": id_type}}
        await make("collections", definition)
        for document_id in {chosen for kind, chosen, _, _ in ID_TYPES if kind == id_type}:
            targets[id_type, document_id] = await make(f"of-{id_type}", {"id": document_id})
    source = await make("all", {f"to{position}": to for position, (*_, to) in enumerate(ID_TYPES)})
    expanded = {
        f"to{position}": targets[id_type, document_id]
        for position, (id_type, document_id, _, _) in enumerate(ID_TYPES)
    }
    answer = await client.get(f"/api/all/{source['id']}?expand={','.join(expanded)}", headers=admin)
    assert answer.json() == {"data": {**source, "_expanded": expanded}}
