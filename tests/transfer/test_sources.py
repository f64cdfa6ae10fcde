import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kit.strict_json import parse
from service.transfer.sources import open_source
from tests.transfer.vega import vega

COUNTS = {
    "airports.csv": 3376,
    "anscombe.json": 44,
    "barley.json": 120,
    "burtin.json": 16,
    "cars.json": 406,
    "crimea.json": 24,
    "driving.json": 55,
    "iowa-electricity.csv": 51,
    "iris.json": 150,
    "la-riots.csv": 63,
    "ohlc.json": 44,
    "seattle-temps.csv": 8759,
    "seattle-weather.csv": 1461,
    "sf-temps.csv": 8759,
    "stocks.csv": 560,
    "us-employment.csv": 120,
    "wheat.json": 52,
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_sample_files_are_read_completely(name: str, count: int) -> None:
    (source,) = open_source(vega(name))
    assert source.name == name.partition(".")[0]
    assert source.count == sum(1 for _ in source.documents()) == count
    assert (source.renames, source.notes, source.id_type) == ({}, (), None)


def test_real_json_file_is_read_like_by_json_module() -> None:
    (source,) = open_source(vega("cars.json"))
    assert list(source.documents()) == json.loads(vega("cars.json").read_text())


def test_first_row_of_real_csv_file_is_typed() -> None:
    (source,) = open_source(vega("la-riots.csv"))
    assert next(iter(source.documents())) == {
        "first_name": "Cesar A.",
        "last_name": "Aguilar",
        "age": 18,
        "gender": "Male",
        "race": "Latino",
        "death_date": "1992-04-30",
        "address": "2009 W. 6th St.",
        "neighborhood": "Westlake",
        "type": "Officer-involved shooting",
        "longitude": -118.2739756,
        "latitude": 34.0592814,
    }


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), min_size=1, max_size=4), st.booleans())
def test_everything_read_from_real_files_can_be_stored(
    tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, Any]], in_lines: bool
) -> None:
    lines = [json.dumps(document) for document in documents]
    text = "\n".join(lines) if in_lines else f"[{','.join(lines)}]"
    path = tmp_path_factory.mktemp("any") / ("a.ndjson" if in_lines else "a.json")
    path.write_text(text)
    (source,) = open_source(path)
    found = list(source.documents())
    assert len(found) == len(documents)
    assert [parse(json.dumps(document).encode()) for document in found] == found
    for name in names_in(found):
        assert name
        assert name[0] not in "_$"
        assert "." not in name
        assert "\0" not in name


def names_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(name for member in value.values() for name in names_in(member))]
    return [name for member in value for name in names_in(member)] if isinstance(value, list) else []


def test_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    for name, first, between, last in (("a.ndjson", "", "\n", "\n"), ("b.json", "[", ",", "]")):
        path = tmp_path / name
        line = json.dumps({"text": "x" * 1000})
        path.write_text(first + between.join([line] * 5_000) + last)
        tracemalloc.start()
        (source,) = open_source(path)
        assert sum(1 for _ in source.documents()) == 5_000
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 4_000_000 < path.stat().st_size
