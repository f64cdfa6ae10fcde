"""Views over HTTP: a document, or those of a list, with chosen fields and expanded references."""

import re
from typing import Any

import httpx
import pytest

from tests.scenarios.library import LibraryService

WEAK = re.compile(r'W/"1-[0-9a-f]{16}"')
SYSTEM = ("_version", "_created_at", "_updated_at", "_owner")


def only(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in ("id", *names)}


@pytest.mark.parametrize("names", [("title",), ("author", "_version"), ("comments", "title"), ("id",)])
async def test_get_with_fields_returns_only_named_fields(
    library: LibraryService, names: tuple[str, ...]
) -> None:
    book = library.documents["book"]
    shown = await library.get(f"books/{book['id']}", fields=",".join(names))
    assert shown == only(book, *names)


async def test_get_with_excluded_fields_omits_them(library: LibraryService) -> None:
    book = library.documents["book"]
    shown = await library.get(f"books/{book['id']}", fields="-comments.text,-title")
    expected = {name: value for name, value in book.items() if name != "title"}
    expected["comments"] = [
        {name: part for name, part in comment.items() if name != "text"} for comment in book["comments"]
    ]
    assert shown == expected


SELECTED = [
    "title",
    "author",
    "title,author",
    "comments.text",
    "comments.author,title",
    "comments",
    "-author",
    "-comments",
    "-comments.author",
    "-comments.text,-author",
    "-reviewers",
]


@pytest.mark.parametrize("fields", SELECTED)
async def test_get_with_fields_returns_same_as_list(library: LibraryService, fields: str) -> None:
    path = f"books/{library.documents['book']['id']}"
    for more in ({}, {"expand": "author.company,comments.author,reviewers"}):
        title = {"filter[title]": "Book"}
        assert [await library.get(path, fields=fields, **more)] == await library.get(
            "books", fields=fields, **more, **title
        )


async def test_hidden_reference_can_be_expanded_unless_its_parent_is_excluded(
    library: LibraryService,
) -> None:
    named = library.documents
    book, young, old = named["book"], named["young"], named["old"]
    for path in (f"books/{book['id']}", "books"):
        title = {"filter[title]": "Book"} if path == "books" else {}

        async def get(*, path: str = path, title: dict[str, str] = title, **parameters: str) -> Any:
            found = await library.get(path, **parameters, **title)
            return found[0] if isinstance(found, list) else found

        assert await get(fields="title", expand="author") == {
            **only(book, "title"),
            "_expanded": {"author": young},
        }
        assert await get(fields="title", expand="comments.author") == {
            **only(book, "title"),
            "comments": [
                {"_expanded": {"author": old}},
                {"_expanded": {"author": None}},
                {"_expanded": {"author": None} if "author" in book["comments"][2] else {}},
            ],
        }
        left = {name: value for name, value in book.items() if name != "author"}
        assert await get(fields="-author", expand="author") == {**left, "_expanded": {"author": young}}
        # What all of it stands in is left out, and it with that.
        left = {name: value for name, value in book.items() if name != "comments"}
        assert await get(fields="-comments", expand="comments.author") == left


async def test_document_has_strong_etag_and_views_have_distinct_weak_etags(library: LibraryService) -> None:
    client, path = library.client, f"/api/books/{library.documents['book']['id']}"
    tags: list[str] = []
    for query in ("", "?fields=title", "?fields=-title", "?expand=author", "?fields=title&expand=author"):
        answer = await client.get(path + query)
        tags.append(answer.headers["etag"])
        asked = await client.head(path + query)
        assert (asked.status_code, asked.content) == (200, b"")
        for name in ("etag", "content-type", "content-length"):
            assert asked.headers[name] == answer.headers[name]
        for method in ("GET", "HEAD"):
            known = await client.request(method, path + query, headers={"If-None-Match": tags[-1]})
            assert (known.status_code, known.content) == (304, b"")
            assert known.headers["etag"] == tags[-1]
    assert tags[0] == '"1"'
    assert all(WEAK.fullmatch(tag) for tag in tags[1:])
    assert len(set(tags)) == len(tags)
    other = await client.get(path + "?fields=title", headers={"If-None-Match": tags[0]})
    assert other.status_code == 200


async def test_etag_of_expanded_view_changes_with_expanded_document(library: LibraryService) -> None:
    author = await library.make("authors", {"name": "One"})
    book = await library.make("books", {"title": "Tagged", "author": author["id"]})
    path = f"/api/books/{book['id']}"
    before = (await library.client.get(path + "?expand=author")).headers["etag"]
    await library.client.delete(f"/api/authors/{author['id']}", headers=library.people["ann"])
    after = await library.client.get(path + "?expand=author", headers={"If-None-Match": before})
    assert (after.status_code, after.json()) == (200, {"data": {**book, "_expanded": {"author": None}}})
    assert after.headers["etag"] != before
    await library.client.delete(path, headers=library.people["ann"])


async def test_if_match_with_view_etag_returns_412(
    client: httpx.AsyncClient, goods: str, ann: dict[str, str]
) -> None:
    made = (await client.post(goods, json={"name": "Mug", "price": 1}, headers=ann)).json()["data"]
    path = f"{goods}/{made['id']}"
    tag = (await client.get(path + "?fields=name")).headers["etag"]
    for expected in (tag, tag.removeprefix("W/")):
        answer = await client.delete(path, headers=ann | {"If-Match": expected})
        assert (answer.status_code, answer.json()["code"]) == (412, "document.stale")
    assert (await client.get(path)).json() == {"data": made}


REFUSED: list[tuple[str, str, str, str | None]] = [
    ("?filds=title", "filds", "unknown_parameter", "Did you mean `fields`?"),
    ("?limit=1", "limit", "unknown_parameter", None),
    ("?filter[title]=Book", "filter[title]", "unknown_parameter", None),
    ("?fields=title&fields=author", "fields", "repeated", None),
    ("?fields=titel", "fields", "unknown_field", "Did you mean `title`?"),
    ("?fields=informant", "fields", "unknown_field", None),
    ("?fields=title,-author", "fields", "form", None),
    ("?fields=-id", "fields", "form", None),
    ("?fields=_expanded", "fields", "unknown_field", None),
    ("?fields=author.name", "fields", "unknown_field", None),
]


@pytest.mark.parametrize(("query", "parameter", "code", "hint"), REFUSED)
async def test_get_with_invalid_parameter_returns_400(
    library: LibraryService, query: str, parameter: str, code: str, hint: str | None
) -> None:
    answer = await library.client.get(f"/api/books/{library.documents['book']['id']}{query}")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "parameter.invalid")
    (told,) = problem["errors"]
    assert (told["parameter"], told["code"], told.get("hint")) == (parameter, code, hint)


async def test_all_invalid_parameters_are_reported(library: LibraryService) -> None:
    answer = await library.client.get(
        f"/api/books/{library.documents['book']['id']}?fields=titel&expand=autor&page=2"
    )
    told = [(each["parameter"], each["code"]) for each in answer.json()["errors"]]
    assert told == [("page", "unknown_parameter"), ("fields", "unknown_field"), ("expand", "unknown_field")]
