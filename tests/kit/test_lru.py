"""The table of what was used last."""

from service.kit.lru import LruTable


def filled(*keys: str, maximum: int = 3) -> LruTable[str, str]:
    table: LruTable[str, str] = LruTable(maximum)
    for key in keys:
        table.put(key, key.upper())
    return table


def kept(table: LruTable[str, str], keys: str) -> str:
    return "".join(key for key in keys if table.peek(key) is not None)


def test_oldest_value_leaves_a_full_table() -> None:
    table = filled("a", "b", "c", "d")
    assert (len(table), kept(table, "abcd"), table.peek("d")) == (3, "bcd", "D")


def test_value_that_was_used_stays() -> None:
    table = filled("a", "b", "c")
    assert table.get("a") == "A"
    table.put("d", "D")
    assert kept(table, "abcd") == "acd"


def test_value_that_was_put_again_stays() -> None:
    table = filled("a", "b", "c", "a", "d")
    assert kept(table, "abcd") == "acd"


def test_peek_is_no_use() -> None:
    table = filled("a", "b", "c")
    table.peek("a")
    table.put("d", "D")
    assert kept(table, "abcd") == "bcd"


def test_unknown_key_has_no_value() -> None:
    table = filled("a")
    assert (table.get("b"), table.peek("b"), table.pop("b")) == (None, None, None)
    assert (table.pop("a"), table.pop("a"), len(table)) == ("A", None, 0)


def test_values_leave_when_together_they_are_too_large() -> None:
    table: LruTable[str, str] = LruTable(100, maximum_bytes=10, size_of=len)
    table.put("a", "x" * 4)
    table.put("b", "x" * 6)
    assert kept(table, "ab") == "ab"
    table.put("b", "x" * 7)
    assert kept(table, "ab") == "b"
    table.put("c", "x" * 3)
    assert kept(table, "bc") == "bc"
    table.pop("b")
    table.put("d", "x" * 7)
    assert kept(table, "cd") == "cd"


def test_value_larger_than_the_table_is_kept_alone() -> None:
    table: LruTable[str, str] = LruTable(100, maximum_bytes=10, size_of=len)
    table.put("a", "x")
    table.put("b", "x" * 20)
    assert kept(table, "ab") == "b"
    table.put("c", "x")
    assert kept(table, "bc") == "c"


def test_bounds_by_count_and_by_size_hold_together() -> None:
    recent: LruTable[object, int] = LruTable(10, maximum_bytes=100, size_of=int)
    for key in range(3):
        recent.put(key, 40)
        assert recent.get(0) is not None or key == 2
    assert [recent.get(key) is not None for key in range(3)] == [True, False, True]
    recent.put("large", 1000)
    assert [recent.get(key) is not None for key in (0, 2, "large")] == [False, False, True]
    several: LruTable[object, int] = LruTable(2, maximum_bytes=10**9, size_of=int)
    for key in range(5):
        several.put(key, 40)
    assert [several.get(key) is not None for key in range(5)] == [False] * 3 + [True] * 2
