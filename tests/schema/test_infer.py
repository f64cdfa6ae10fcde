import json
from collections.abc import Iterable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.schema.check import check
from service.schema.infer import MAXIMUM_PLACES, Inference
from service.transfer.sources import open_source
from tests.transfer.vega import vega

DIALECT = "https://json-schema.org/draft/2020-12/schema"
UUID = "2eb8aa08-aa98-41ea-b4aa-73b441d16380"
HEX = "5f0c6b2e9d1e8a0001a1b2c3"
TEXT = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}


def infer(documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Infer a schema, which Sheaf takes and which every one of the documents matches."""
    documents = list(documents)
    inference = Inference()
    for document in documents:
        inference.add(document)
    schema = inference.schema()
    check(schema)
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for document in documents:
        validator.validate({name: value for name, value in document.items() if name != "id"})
    return schema


def infer_values(*values: Any, name: str = "value") -> Any:
    return infer({name: value} for value in values)["properties"][name]


def record(required: int | None = None, /, **members: Any) -> dict[str, Any]:
    names = [name for name, each in members.items() if "null" not in each.get("type", ["null"])][:required]
    return {
        "type": "object",
        "properties": members,
        **({"required": names} if names else {}),
        "additionalProperties": False,
    }


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def schema_of(name: str) -> dict[str, Any]:
    (source,) = open_source(vega(name))
    return infer(source.documents())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True], {"type": "boolean"}),
        ([7, -1], INTEGER),
        ([7, 7.5], NUMBER),
        ([7.0], NUMBER),
        ([2**63 - 1], INTEGER),
        ([2**63], NUMBER),
        ([True, 1], {"type": ["boolean", "integer"]}),
        (["a", 1], {"type": ["integer", "string"]}),
        (["a", None], {"type": ["string", "null"]}),
        ([1, 1.5, None, "a"], {"type": ["number", "string", "null"]}),
        ([None, None], {}),
        ([[], []], array({})),
        ([[1], [2.5, None], []], array({"type": ["number", "null"]})),
        ([[[1]], [["a"]]], array(array({"type": ["integer", "string"]}))),
        ([{}], {"type": "object", "properties": {}, "additionalProperties": False}),
        ([{"a": 1}, {"b": "x", "a": 2}], record(1, a=INTEGER, b=TEXT)),
        ([[{"a": 1}], [{"a": None}, {}]], array(record(0, a={"type": ["integer", "null"]}))),
        ([{"a": 1}, 5, None], record(a=INTEGER) | {"type": ["integer", "object", "null"]}),
    ],
)  # fmt: skip
def test_inferred_types_cover_all_values(values: list[Any], expected: Any) -> None:
    assert infer_values(*values) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2026-11-22T10:00:00Z", "2026-11-22t10:00:00.123456+02:00"], "date-time"),
        (["2026-11-22"], "date"),
        ([UUID], "uuid"),
        (["joe@example.com", "j.o'e+x@mail.example.org"], "email"),
        (["192.168.0.1", "8.8.8.8"], "ipv4"),
        (["https://example.com/a?b=c#d", "ftp://example.com"], "uri"),
        (["2026-11-22", None], "date"),
        (["2026-11-22", "Nov 22 2026"], None),
        (["2026-11-22", ""], None),
        (["2026-02-30"], None),
        (["0000-01-01"], None),
        (["2026-11-22", "2026-11-22T10:00:00Z"], None),
        (["2026-11-22T10:00:00"], None),
        (["2026-11-22 10:00:00Z"], None),
        (["2026/11/22"], None),
        (["Jun 12 1998"], None),
        (["20261122"], None),
        ([UUID.upper()], None),
        (["joe@localhost"], None),
        (["Note: urgent", "C:x"], None),
        (["urn:isbn:1", "https://a b"], None),
        (["1.2.3", "1.2.3.400"], None),
        (["2026-11-22", 5], None),
    ],
)
def test_format_is_inferred_only_if_all_texts_have_it(texts: list[Any], expected: str | None) -> None:
    assert infer_values(*texts).get("format") == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("author_id", HEX, "objectid"),
        ("authorId", HEX, "objectid"),
        ("productID", HEX, "objectid"),
        ("oid", HEX, "objectid"),
        ("author", HEX, None),
        ("paid", HEX, None),
        ("digest", HEX, None),
        ("author_id", HEX.upper(), None),
        ("author_id", HEX + "0", None),
    ],
)
def test_objectid_format_is_inferred_from_field_name(name: str, text: str, expected: str | None) -> None:
    assert infer_values(text, name=name).get("format") == expected


def test_objectid_array_is_inferred_from_field_name() -> None:
    assert infer_values([HEX], name="tagIds") == array(TEXT | {"format": "objectid"})


@pytest.mark.parametrize(
    ("values", "candidates"),
    [
        (["new", "paid"] * 10, ["new", "paid"]),
        (["new", "paid", None] * 10, ["new", "paid"]),
        ([f"{n % 4}" for n in range(20)], ["0", "1", "2", "3"]),
        ([f"{n % 5}" for n in range(24)], None),
        ([f"{n % 13}" for n in range(500)], None),
        (["new", "paid"] * 9, None),
        (["new"] * 50, None),
        (["new", "p" * 65] * 50, None),
        (["new", 5] * 50, None),
        (["2026-11-22", "2026-11-23"] * 50, None),
    ],
)
def test_repeated_texts_become_enum_candidates_without_enum(
    values: list[Any], candidates: list[str] | None
) -> None:
    schema = infer_values(*values)
    assert schema.get("x-enum-candidates") == candidates
    assert "enum" not in schema


@pytest.mark.parametrize(
    ("values", "value_schema"),
    [
        ([{"2026-01-01": 1, "2026-01-02": 2, "2026-01-03": None}], {"type": ["integer", "null"]}),
        ([{"2024": 1, "2025": 2.5}, {"2026": 3}], NUMBER),
        ([{HEX: {"n": 1}, f"{HEX[:-1]}4": {"n": 2}, f"{HEX[:-1]}5": {}}], record(0, n=INTEGER)),
        ([{f"key{n}": n for n in range(65)}], INTEGER),
        ([{f"key{n}": "x" if n % 2 else n} for n in range(200)], {"type": ["integer", "string"]}),
        ([{f"user{n}": {"at": "2026-11-22"}} for n in range(3000)], record(at=TEXT | {"format": "date"})),
    ],
)  # fmt: skip
def test_object_with_data_as_names_is_inferred_as_map(values: list[Any], value_schema: Any) -> None:
    assert infer_values(*values) == {"type": "object", "additionalProperties": value_schema}


@pytest.mark.parametrize(
    "value",
    [
        {"2025": 1, "2026": 2},
        {"1": 1, "2": "a", "3": None},
        {"a": 1, "b": 2, "c": 3},
        {f"key{n}": "x" if n % 2 else n for n in range(100)},
    ],
)
def test_object_with_ordinary_names_is_not_inferred_as_map(value: dict[str, Any]) -> None:
    assert list(infer_values(value)["properties"]) == list(value)


def test_document_itself_is_never_inferred_as_map() -> None:
    assert list(infer([{"2024": 1, "2025": 2, "2026": 3}])["properties"]) == ["2024", "2025", "2026"]
    assert len(infer([{f"column{n}": n for n in range(200)}])["properties"]) == 200


def test_inferred_schema_keeps_order_of_members() -> None:
    inference = Inference("people")
    inference.add({"id": 1, "name": "Ann", "age": 7})
    inference.add({"id": 2, "mail": "bob@example.com", "name": "Bob"})
    schema = inference.schema()
    assert schema == {
        "$schema": DIALECT,
        "title": "people",
        "type": "object",
        "properties": {"name": TEXT, "age": INTEGER, "mail": TEXT | {"format": "email"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert list(schema["properties"]) == ["name", "age", "mail"]


def test_inference_without_documents_accepts_any_object() -> None:
    assert infer([]) == {"$schema": DIALECT, "type": "object"}


def test_value_outside_json_raises_type_error() -> None:
    with pytest.raises(TypeError, match="set is not a type of JSON"):
        Inference().add({"a": {1}})


def test_memory_of_inference_is_bounded() -> None:
    inference = Inference()
    for number in range(20_000):
        inference.add({f"field{number}": 1, "at": {f"x{number}": {"y": {f"z{number}": number}}}})
    assert inference._root.room.places >= -10
    assert len(inference._root.members) <= MAXIMUM_PLACES


@pytest.mark.parametrize(
    "documents",
    [
        [{f"column{n}": n for n in range(3000)}],
        [{f"{n}{'x' * 200}": n for n in range(400)}],
        [{f"a{n}": {f"b{m}": str(m) for m in range(60)} for n in range(60)}],
        [{f"a{n}": "x" * 64, f"b{n}": "y" * 64} for n in range(1000)],
        [{"a": {"a": {"a": [[[[{"a": 1}]]]]}}}],
    ],
)
def test_inferred_schema_stays_within_limits(documents: list[dict[str, Any]]) -> None:
    infer(documents)


def test_deeply_nested_documents_can_be_inferred() -> None:
    value: Any = 1
    for _ in range(49):
        value = {"a": [value]}
    infer([{"a": value}])


def test_inferred_schema_of_cars_file() -> None:
    assert schema_of("cars.json") == {
        "$schema": DIALECT,
        **record(
            Name=TEXT,
            Miles_per_Gallon={"type": ["number", "null"]},
            Cylinders=INTEGER,
            Displacement=NUMBER,
            Horsepower={"type": ["integer", "null"]},
            Weight_in_lbs=INTEGER,
            Acceleration=NUMBER,
            Year=TEXT | {"format": "date"},
            Origin=TEXT | {"x-enum-candidates": ["Europe", "Japan", "USA"]},
        ),
    }


def test_inferred_fields_of_other_sample_files() -> None:
    riots = schema_of("la-riots.csv")["properties"]
    assert riots["age"] == {"type": ["integer", "null"]}
    assert riots["death_date"] == TEXT | {"format": "date"}
    assert riots["race"] == TEXT | {"x-enum-candidates": ["Asian", "Black", "Latino", "White"]}
    assert riots["latitude"] == NUMBER
    wheat = schema_of("wheat.json")
    assert wheat["properties"] == {"year": TEXT, "wheat": NUMBER, "wages": NUMBER}
    assert wheat["required"] == ["year", "wheat"]
    assert schema_of("airports.csv")["properties"]["iata"] == TEXT
    assert schema_of("stocks.csv")["properties"]["date"] == TEXT
    assert schema_of("seattle-temps.csv")["properties"] == {"date": TEXT, "temp": NUMBER}
    assert schema_of("anscombe.json")["properties"]["X"] == NUMBER
    assert schema_of("crimea.json")["properties"]["date"] == TEXT | {"format": "date"}
    employment = schema_of("us-employment.csv")
    assert len(employment["required"]) == len(employment["properties"]) == 24


def test_inferred_schema_of_films_with_numeric_titles() -> None:
    films: list[dict[str, Any]] = [
        {"Title": "The Land Girls", "US Gross": 146083, "IMDB Rating": 6.1, "Release Date": "Jun 12 1998"},
        {"Title": 1776, "US Gross": 0, "IMDB Rating": 7, "Release Date": "Nov 09 1972"},
        {"Title": None, "US Gross": None, "IMDB Rating": None, "Release Date": "TBA"},
    ]
    assert infer(films)["properties"] == {
        "Title": {"type": ["integer", "string", "null"]},
        "US Gross": {"type": ["integer", "null"]},
        "IMDB Rating": {"type": ["number", "null"]},
        "Release Date": TEXT,
    }


NAMES = st.text(st.characters(exclude_characters="_$.\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
SCALARS = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.dates().map(str) | st.uuids().map(str),
    st.emails() | st.sampled_from(["2020-01-01", "http://a.b/c", "1.1.1.1", HEX]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(st.sampled_from("abc") | NAMES, VALUES, max_size=4), max_size=6))
def test_every_document_matches_inferred_schema(documents: list[dict[str, Any]]) -> None:
    json.dumps(infer(documents))
