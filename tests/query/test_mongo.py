"""What MongoDB is given."""

import pytest

from service.query import (
    EVERYTHING,
    NOTHING,
    And,
    Compare,
    Elem,
    Not,
    Or,
    Path,
    Selection,
    SortKey,
    conjoin,
    projection,
    sort_keys,
    to_mongo,
)

MINE = Compare(("_owner",), "eq", "7")
CHEAP = Compare(("price",), "lt", 5)


def test_everything_and_nothing_compile_to_filters() -> None:
    assert to_mongo(EVERYTHING) == {}
    assert to_mongo(NOTHING) == {"_id": {"$in": []}}


def test_conditions_are_merged_where_possible() -> None:
    dear = Compare(("price",), "gt", 9)
    assert to_mongo(And((CHEAP, dear, MINE))) == {"price": {"$lt": 5, "$gt": 9}, "_owner": {"$eq": "7"}}
    assert to_mongo(And((CHEAP, CHEAP))) == {"$and": [{"price": {"$lt": 5}}, {"price": {"$lt": 5}}]}
    assert to_mongo(And((Or((CHEAP, MINE)), Or((MINE, dear))))) == {
        "$and": [
            {"$or": [{"price": {"$lt": 5}}, {"_owner": {"$eq": "7"}}]},
            {"$or": [{"_owner": {"$eq": "7"}}, {"price": {"$gt": 9}}]},
        ]
    }
    assert to_mongo(Not(CHEAP)) == {"$nor": [{"price": {"$lt": 5}}]}


def test_value_never_becomes_operator() -> None:
    assert to_mongo(Compare(("a",), "eq", "$where")) == {"a": {"$eq": "$where"}}


@pytest.mark.parametrize("path", [(), ("$where",), ("a", "$gt"), ("a\0b",)])
def test_invalid_path_raises_value_error(path: Path) -> None:
    with pytest.raises(ValueError, match="not the path of a field"):
        to_mongo(Compare(path, "eq", 1))
    with pytest.raises(ValueError, match="not the path of a field"):
        to_mongo(Elem(("a",), Or((Compare(path, "eq", 1),))))


def test_conjoin_combines_rule_and_filter() -> None:
    assert conjoin(None, None) is None
    assert conjoin(MINE, None) == MINE
    assert conjoin(EVERYTHING, CHEAP) == CHEAP
    assert conjoin(MINE, CHEAP) == And((MINE, CHEAP))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ((), [("_id", 1)]),
        ((SortKey(("price",)),), [("price", 1), ("_id", 1)]),
        ((SortKey(("name",)), SortKey(("a", "b"), is_descending=True)),
         [("name", 1), ("a.b", -1), ("_id", -1)]),
        ((SortKey(("id",), is_descending=True), SortKey(("name",))), [("_id", -1)]),
        ((SortKey(("a", "id")),), [("a.id", 1), ("_id", 1)]),
    ],
)  # fmt: skip
def test_sort_always_ends_with_id(sort: tuple[SortKey, ...], expected: list[tuple[str, int]]) -> None:
    assert sort_keys(sort) == expected


def test_selection_compiles_to_projection() -> None:
    assert projection(None) is None
    assert projection(Selection((("id",), ("name",)))) == {"_id": 1, "name": 1}
    assert projection(Selection((("a", "b"),), is_exclusion=True)) == {"a.b": 0}
