import pytest

from service.collections import names as definition_names
from service.schema.check import name_fault
from service.transfer.names import MemberNames, collection_name, is_plain, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("movies", "movies"),
        ("US-Employment", "us-employment"),
        ("my movies (2)", "my-movies-2"),
        ("order_lines", "order_lines"),
        ("movies.geo", "movies-geo"),
        ("Übersicht", "ubersicht"),
        ("2024-sales", "data-2024-sales"),
        ("_private", "private"),
        ("фильмы", "data"),
        ("", "data"),
        ("users", "my-users"),
        ("profile", "my-profile"),
        ("x" * 80, "x" * 63),
        ("x" * 62 + "-y", "x" * 62),
    ],
)
def test_collection_is_named_after_its_file(text: str, expected: str) -> None:
    assert collection_name(text) == expected
    assert definition_names.check(expected) == expected


def test_collection_with_taken_name_gets_number() -> None:
    assert collection_name("users", {"my-users"}) == "my-users-2"
    assert collection_name("x" * 80, {"x" * 63}) == "x" * 61 + "-2"


@pytest.mark.parametrize("name", ["", "_id", "$set", "a.b", ".", "__", "$.x", "a\0b", "\0", "é" * 200])
def test_unstorable_member_name_is_replaced(name: str) -> None:
    assert not is_plain(name)
    assert name_fault(name) is not None
    assert name_fault(plain(name)) is None


@pytest.mark.parametrize("name", ["IMDB Rating", "a$b", "a_", "日本", "x" * 255, "Cost Total $"])
def test_storable_member_names_stay(name: str) -> None:
    assert is_plain(name)
    assert MemberNames().apply({name: 1}) == {name: 1}


def test_colliding_member_names_are_numbered_consistently() -> None:
    names = MemberNames()
    assert names.apply({"_x": 1, "x": 2, "$x": 3}) == {"x_2": 1, "x": 2, "x_3": 3}
    names.settle()
    assert names.apply({"_x": 1}) == {"x_2": 1}
    assert names.renames == {"_x": "x_2", "$x": "x_3"}


def test_names_colliding_after_settling_lose_no_member() -> None:
    names = MemberNames()
    names.apply({"_x": 1})
    names.settle()
    assert names.apply({"_x": 1, "x": 2}) == {"x_2": 1, "x": 2}
    assert names.renames == {"_x": "x"}


def test_remembered_member_names_are_bounded() -> None:
    names = MemberNames()
    for number in range(25_000):
        assert names.are_plain({f"key{number}": 1})
    assert len(names._known) < 11_000
