"""Reading `expand`: paths of references, through objects, arrays and other collections."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kit.errors import Forbidden, ParameterInvalid
from service.query import parse_list, parse_query, parse_view
from service.query.expansions import Expansion, plan, target_of
from service.query.fields import Field
from service.query.kinds import Kind
from tests.query.shop import ANYTHING, SHOP, an_array, an_object, of


def to(collection: str, *, write_only: bool = False) -> Field:
    return Field(kinds=frozenset({Kind.STRING}), collection=collection, write_only=write_only)


HIDDEN = Field(kinds=frozenset({Kind.OBJECT}), fields={"author": to("authors")}, write_only=True)
BOOKS = an_object(
    id=of(Kind.OBJECT_ID),
    title=of(Kind.STRING),
    author=to("authors"),
    reviewers=an_array(to("authors")),
    matrix=an_array(an_array(to("authors"))),
    comments=an_array(an_object(author=to("authors"), replies=an_array(an_object(author=to("authors"))))),
    by_name=Field(kinds=frozenset({Kind.OBJECT}), others=to("authors")),
    imprint=an_object(owner=an_object(company=to("companies"))),
    secret=to("authors", write_only=True),
    vault=HIDDEN,
    vaults=an_array(HIDDEN),
    lost=to("nowhere"),
    closed=to("closed"),
)
AUTHORS = an_object(name=of(Kind.STRING), company=to("companies"), book=to("books"))
COMPANIES = an_object(name=of(Kind.STRING), owner=to("authors"))


def fields_of(name: str) -> Field | None:
    if name == "closed":
        raise Forbidden
    return {"books": BOOKS, "authors": AUTHORS, "companies": COMPANIES}.get(name)


def read(text: str) -> Any:
    return parse_view([("expand", text)], BOOKS, fields_of).expand


@pytest.mark.parametrize(
    "text",
    [
        "author",
        "author,lost",
        "author.company.owner",
        "author.book.comments.author",
        "reviewers.company",
        "matrix",
        "comments.author,comments.replies.author.company",
        "by_name.anybody",
        "imprint.owner.company.owner",
    ],
)
def test_expand_paths_are_parsed_in_order_from_url_and_body(text: str) -> None:
    paths = tuple(tuple(path.split(".")) for path in text.split(","))
    assert read(text) == paths
    assert parse_list([("expand", text)], BOOKS, fields_of).expand == paths
    assert parse_query({"expand": text}, BOOKS, fields_of).expand == paths
    assert parse_query({"expand": text.split(",")}, BOOKS, fields_of).expand == paths


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("secret", "unknown_field"),
        ("vault.author", "unknown_field"),
        ("vaults.author", "unknown_field"),
        ("reviewers.0", "unknown_field"),
        ("comments.0.author", "unknown_field"),
        ("by_name", "type"),
        ("imprint.owner", "type"),
        ("id", "type"),
        ("author.id", "unknown_field"),
        ("lost.name", "unknown_field"),
        ("author.book.author.book", "too_complex"),
        ("author.", "unknown_field"),
        (".author", "unknown_field"),
        ("author.$id", "unknown_field"),
        (" author", "unknown_field"),
        ("author\0", "unknown_field"),
    ],
)
def test_invalid_expand_paths_are_refused(text: str, code: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        read(text)
    assert [(each.parameter, each.code) for each in caught.value.errors] == [("expand", code)]
    with pytest.raises(ParameterInvalid) as caught:
        parse_query({"expand": ["author", text]}, BOOKS, fields_of)
    assert [(each.pointer, each.code) for each in caught.value.errors] == [("/expand/1", code)]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"expand": 1}, "/expand"), ({"expand": {}}, "/expand"), ({"expand": [["author"]]}, "/expand/0")],
)
def test_expand_in_body_must_be_text_or_array_of_texts(body: Any, pointer: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_query(body, BOOKS, fields_of)
    assert [(each.pointer, each.code) for each in caught.value.errors] == [(pointer, "type")]


def test_forbidden_collection_is_reported_before_other_errors() -> None:
    with pytest.raises(Forbidden):
        read("closed.nothing,zzzz")


def test_paths_with_common_prefix_are_planned_together() -> None:
    paths = read("author.company,comments.author,author,author.book.reviewers")
    assert plan(BOOKS, paths, fields_of) == (
        Expansion(
            ("author",),
            "authors",
            (
                Expansion(("company",), "companies"),
                Expansion(("book",), "books", (Expansion(("reviewers",), "authors"),)),
            ),
        ),
        Expansion(("comments", "author"), "authors"),
    )


def test_obsolete_references_are_left_out_of_plan() -> None:
    paths = (("author", "gone"), ("gone",), ("title",), ("lost", "name"))
    assert plan(BOOKS, paths, fields_of) == (
        Expansion(("author",), "authors"),
        Expansion(("lost",), "nowhere"),
    )


def test_self_containing_field_has_no_target() -> None:
    assert target_of(ANYTHING) is None


words = st.sampled_from([*BOOKS.fields, *AUTHORS.fields, "0", "", "$x", "_id", "zzz", "-author", "a\0"])
paths = st.lists(words, min_size=1, max_size=6).map(".".join)


@given(st.lists(paths, min_size=1, max_size=12).map(",".join) | st.text(max_size=40))
def test_any_expand_text_is_parsed_or_refused(text: str) -> None:
    for fields in (BOOKS, SHOP, ANYTHING):
        try:
            read_paths = parse_view([("expand", text)], fields, fields_of).expand
        except (ParameterInvalid, Forbidden):
            continue
        assert ",".join(".".join(path) for path in read_paths) == text
        assert len(plan(fields, read_paths, fields_of)) <= len(read_paths)
