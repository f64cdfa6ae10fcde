"""Cells keep what was counted, whoever goes on counting."""

from hypothesis import given
from hypothesis import strategies as some

from service.runtime.metrics.cells import (
    KEY_BYTES,
    MAXIMUM_CELLS,
    MAXIMUM_ENTRIES,
    SIZE_BYTES,
    Cells,
)

WORDS = some.text(some.characters(exclude_characters="\x1f", codec="utf-8"), max_size=8)
ADDITIONS = some.lists(
    some.tuples(some.tuples(WORDS, WORDS), some.integers(0, 3), some.integers(1, 1000)), max_size=60
)


@given(additions=ADDITIONS, change=some.integers(0, 60))
def test_cells_of_successive_workers_add_up(
    additions: list[tuple[tuple[str, str], int, int]], change: int
) -> None:
    memory = bytearray(SIZE_BYTES)
    expected: dict[tuple[str, ...], list[float]] = {}
    for part in (additions[:change], additions[change:]):
        cells = Cells(memory)
        for key, offset, amount in part:
            place = cells.index_of(key, 4)
            assert place is not None
            cells.values[place + offset] += amount
            expected.setdefault(key, [0.0] * 4)[offset] += amount
    assert {key: list(values) for key, values in Cells(memory).read()} == expected


def test_keys_beyond_the_limit_get_no_cells() -> None:
    cells = Cells()
    places = [cells.index_of((f"key {number}",), 1) for number in range(MAXIMUM_ENTRIES + 1)]
    assert places == [*range(MAXIMUM_ENTRIES), None]
    assert cells.index_of(("key 0",), 1) == 0


def test_cells_beyond_the_limit_are_refused() -> None:
    cells = Cells()
    assert cells.index_of(("wide",), MAXIMUM_CELLS) == 0
    assert cells.index_of(("narrow",), 1) is None


def test_too_long_key_gets_no_cells() -> None:
    cells = Cells()
    assert cells.index_of(("x" * (KEY_BYTES + 1),), 1) is None
    assert cells.index_of(("é" * (KEY_BYTES // 2),), 1) == 0
    assert [key for key, _ in cells.read()] == [("é" * (KEY_BYTES // 2),)]
