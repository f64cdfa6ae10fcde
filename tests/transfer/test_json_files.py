import json
from pathlib import Path
from typing import Any

import pytest

from service.transfer import cursor
from service.transfer.sources import Source, open_source, open_sources

DEEP = '{"a":' * 100 + "1" + "}" * 100


def written(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def documents(source: Source) -> list[dict[str, Any]]:
    return list(source.documents())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.json", '[{"a": 1}, {"a": "ü"}]'),
        ("notes.json", '\ufeff [\n{"a": 1}\n,{"a": "\\u00fc"}] \n'),
        ("notes.json", '{"a": 1}\n{"a": "ü"}\n'),
        ("notes.ndjson", '\ufeff{"a": 1}\r\n\r\n{"a": "ü"}'),
        ("notes.jsonl", '\n{"a": 1}\n \n{"a": "ü"}\n\n'),
        ("notes.jsonl", '[{"a": 1}, {"a": "ü"}]'),
        ("notes.json", '{"notes": [{"a": 1}, {"a": "ü"}]}'),
        ("notes.txt", '[{"a": 1}, {"a": "ü"}]'),
    ],
)
def test_source_can_be_read_repeatedly(tmp_path: Path, name: str, content: str) -> None:
    (source,) = open_source(written(tmp_path, name, content))
    assert (source.name, source.count, source.id_type) == ("notes", 2, None)
    for _ in range(2):
        assert documents(source) == [{"a": 1}, {"a": "ü"}]
        assert source.bytes_read == source.size_bytes


def test_source_reports_bytes_read(tmp_path: Path) -> None:
    path = written(tmp_path, "notes.ndjson", '{"a": 1}\n' * 10)
    (source,) = open_source(path)
    reading = source.documents()
    next(reading)
    assert (source.bytes_read, source.size_bytes) == (9, 90)
    assert len(list(reading)) == 9
    assert source.bytes_read == 90


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 64])
def test_chunk_boundaries_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(cursor, "CHUNK_BYTES", chunk_bytes)
    expected = [
        {"n": -12.5e-3, "t": 'ä"\\\n€😀', "l": [True, False, None, 12345678901234567]},
        {"o": {"deep": [{}, [], ""]}},
        {"long": "x" * 500},
    ]
    for content in (json.dumps(expected), json.dumps(expected, indent=2, ensure_ascii=False)):
        (source,) = open_source(written(tmp_path, "a.json", content))
        assert documents(source) == expected


def test_object_of_arrays_becomes_one_collection_per_member(tmp_path: Path) -> None:
    content = {
        "posts": [{"id": 1, "title": "a"}, {"id": 2, "title": "b"}],
        "Users": [{"id": "ann"}],
        "profile": {"name": "typicode"},
        "tags": [],
    }
    sources = open_source(written(tmp_path, "db.json", json.dumps(content, indent=1)))
    assert [(each.name, each.count, each.id_type, documents(each)) for each in sources] == [
        ("posts", 2, "integer", [{"id": 1, "title": "a"}, {"id": 2, "title": "b"}]),
        ("my-users", 1, "string", [{"id": "ann"}]),
        ("my-profile", 1, None, [{"name": "typicode"}]),
        ("tags", 0, None, []),
    ]
    assert [each.notes for each in sources] == [
        (),
        ("`users` is a word of the API itself: the collection is `my-users`.",),
        (
            "`profile` is a word of the API itself: the collection is `my-profile`.",
            "`profile` is one object: `my-profile` is a collection of this one document.",
        ),
        ("`tags` is empty: until it has a schema, it takes any document.",),
    ]


def test_several_files_get_distinct_collection_names(tmp_path: Path) -> None:
    one = written(tmp_path, "a.json", '[{"a": 1}]')
    other = written(tmp_path, "A.ndjson", '{"a": 1}')
    sources = open_sources([one, other])
    assert [source.name for source in sources] == ["a", "a-2"]
    assert sources[1].notes == ("There is a collection `a` already: this one is `a-2`.",)


def test_unstorable_members_are_renamed_at_every_depth(tmp_path: Path) -> None:
    content = '[{"a.b": 1, "in": [{"_x": 2, "": 3}]}, {"a.b": 4, "a_b": 5, "$x": 6}]'
    (source,) = open_source(written(tmp_path, "a.json", content))
    assert source.renames == {"a.b": "a_b_2", "_x": "x", "": "field", "$x": "x"}
    assert documents(source) == [
        {"a_b_2": 1, "in": [{"x": 2, "field": 3}]},
        {"a_b_2": 4, "a_b": 5, "x": 6},
    ]


def test_extended_json_is_converted_to_plain_json(tmp_path: Path) -> None:
    content = (
        '{"_id": {"$oid": "5f0c6b2e9d1e8a0001a1b2c3"}, "at": {"$date": "2020-07-13T14:00:00Z"},'
        ' "before": {"$date": {"$numberLong": "-1"}}, "count": {"$numberLong": "9007199254740993"},'
        ' "price": {"$numberDecimal": "12.50"}, "exact": {"$numberDecimal": "0.1000000000000000000001"},'
        ' "half": {"$numberDouble": "0.5"}, "few": {"$numberInt": "3"}, "$ref": {"$oid": 5},'
        ' "key": {"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}}}\n'
    )
    (source,) = open_source(written(tmp_path, "export.json", content + content.replace("c3", "c4", 1)))
    first = documents(source)[0]
    assert first == {
        "id": "5f0c6b2e9d1e8a0001a1b2c3",
        "at": "2020-07-13T14:00:00Z",
        "before": "1969-12-31T23:59:59.999Z",
        "count": 9007199254740993,
        "price": 12.5,
        "exact": "0.1000000000000000000001",
        "half": 0.5,
        "few": 3,
        "ref": {"oid": 5},
        "key": "00000000-0000-0000-0000-000000000000",
    }
    assert source.id_type == "objectid"
    assert source.renames == {"_id": "id", "$ref": "ref", "$oid": "oid"}


def test_integers_beyond_64_bits_become_doubles_and_are_noted(tmp_path: Path) -> None:
    (source,) = open_source(
        written(tmp_path, "a.json", '[{"n": 9223372036854775807, "m": 9223372036854775808}]')
    )
    assert documents(source) == [{"n": 2**63 - 1, "m": float(2**63)}]
    assert source.notes == ("Integers beyond 64 bits are stored as floating-point numbers: 1 of them.",)


def test_document_nested_to_the_limit_is_read(tmp_path: Path) -> None:
    (source,) = open_source(written(tmp_path, "a.json", f"[{DEEP}]"))
    assert source.count == 1
