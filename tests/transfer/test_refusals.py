import json
from pathlib import Path

import pytest

from service.kit.errors import StartupFailure
from service.transfer import cursor
from service.transfer.sources import open_source

DEEP = '{"a":' * 100 + "1" + "}" * 100
SHAPE = "give an array of objects, or an object whose members are arrays of objects."
EVERY = "every one must be an object."
TOO_DEEP = "a document is nested more than 100 levels deep"


def refusal(path: Path, content: str | bytes) -> str:
    """Return the sentence with which the file is refused, PATH in the place of its path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StartupFailure) as failure:
        open_source(path)
    return str(failure.value).replace(str(path), "PATH")


@pytest.mark.parametrize(
    ("name", "content", "where", "cause"),
    [
        ("a.json", '[{"a": 1},]', "line 1, column 11", "expecting an object"),
        ("a.json", '[{"a": 1} {"a": 2}]', "line 1, column 11", "expecting `,` or `]`"),
        ("a.json", '[{"a": 1},\n{"a" 2}]', "line 2, column 6", "expecting ':' delimiter"),
        ("a.json", '[{"a": 1}', "line 1, column 10", "the file ends in the middle"),
        ("a.json", '[{"a": ', "line 1, column 8", "the file ends in the middle"),
        ("a.json", '[{"a": 1}] x', "line 1, column 12", "something follows the array"),
        ("a.json", '{"a": []} x', "line 1, column 11", "something follows the object"),
        ("a.json", '{"a": [],}', "line 1, column 10", "expecting a member's name in double quotes"),
        ("a.json", '{"a" []}', "line 1, column 6", "expecting `:`"),
        ("a.json", '{"a": ?}', "line 1, column 7", "expecting a value"),
        ("a.json", '[{"ä": "€",\n  "b": tru}]', "line 2, column 8", "expecting value"),
        ("a.json", '[{"a": "b\n"}]', "line 1, column 10", "invalid control character at"),
        ("a.ndjson", '{"a": 1}\n{"a": \n', "line 2, column 6", "expecting value"),
        ("a.ndjson", '{"a": 1}\n{"a": 1} 2\n', "line 2, column 9", "something follows the object"),
    ],
)
def test_invalid_json_is_refused_with_line_and_column(
    tmp_path: Path, name: str, content: str, where: str, cause: str
) -> None:
    sentence = f"PATH is not valid JSON at {where} ({cause}): correct it there and start again."
    assert refusal(tmp_path / name, content) == sentence


@pytest.mark.parametrize(
    ("name", "content", "where", "reason"),
    [
        ("a.json", '[{"a": [1, NaN]}]', "line 1, column 12", "NaN is not JSON (write null)"),
        (
            "a.json",
            '[{"a": "NaN"},\n{"b": -Infinity}]',
            "line 2, column 7",
            "-Infinity is not JSON (write null)",
        ),
        ("a.json", '{"a": 1}\n{"a": NaN}\n', "line 2, column 7", "NaN is not JSON (write null)"),
        (
            "a.json",
            '[{},\n{"a": 1, "a": 2}]',
            "in the document that begins at line 2, column 1",
            'the member "a" appears twice in one object',
        ),
        (
            "a.json",
            '{"a": [], "a": []}',
            "in the document that begins at line 1, column 14",
            'the member "a" appears twice',
        ),
        ("a.json", '{"a": 1}\n{"b": 1, "b": 2}\n', "line 2", 'the member "b" appears twice in one object'),
        (
            "a.json",
            '[{"a": 1e999}]',
            "in the document that begins at line 1, column 2",
            "the number 1e999 is too large",
        ),
        (
            "a.json",
            f'[{{"a": {"9" * 5000}}}]',
            "in the document that begins at line 1, column 2",
            "a number has 5000 digits",
        ),
        ("a.json", f'[{{"b": {DEEP}}}]', "line 1, column 2", TOO_DEEP),
        ("a.json", '[{"a": ' + "[" * 100_000, "line 1, column 2", TOO_DEEP),
        ("a.ndjson", f'{{"b": {DEEP}}}', "line 1, column 1", TOO_DEEP),
        (
            "a.json",
            '[{"a": "\\ud800"}]',
            "line 1, column 2",
            "an escape such as \\ud800 is half a character",
        ),
    ],
)
def test_unstorable_json_is_refused(tmp_path: Path, name: str, content: str, where: str, reason: str) -> None:
    sentence = f"PATH, {where}: {reason}; correct it there and start again."
    assert refusal(tmp_path / name, content) == sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "PATH has no documents: give at least one, so that a schema can be inferred."),
        ("{}", f"PATH is one object without an array: {SHAPE}"),
        ('{"a": {"b": 1}}', f"PATH is one object without an array: {SHAPE}"),
        ('{"a": 1, "b": []}', f"PATH is one object whose `a` is a number: {SHAPE}"),
        ('{"a": "x"}', f"PATH is one object whose `a` is a string: {SHAPE}"),
        ('{"type": "Topology"}', f"PATH is one object whose `type` is a string: {SHAPE}"),
        (
            json.dumps({f"a{n}": [] for n in range(101)}),
            f"PATH is one object with more than 100 members: {SHAPE}",
        ),
        ("[{},\n  null]", f"PATH holds null at index 1 (line 2, column 3): {EVERY}"),
        ('["a"]', f"PATH holds a string at index 0 (line 1, column 2): {EVERY}"),
        ("[{},[]]", f"PATH holds an array at index 1 (line 1, column 5): {EVERY}"),
        ("[{},true]", f"PATH holds a boolean at index 1 (line 1, column 5): {EVERY}"),
        (
            '{"a": [{}], "b": [{}, 7]}',
            f"the array `b` of PATH holds a number at index 1 (line 1, column 23): {EVERY}",
        ),
    ],
)
def test_json_that_is_no_collection_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    assert refusal(tmp_path / "a.json", content) == sentence


def test_geojson_is_refused_with_advice(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.geojson", '{"type": "FeatureCollection", "features": []}') == (
        "PATH is GeoJSON, one object around its documents: save the array in `features` as a file of its own."
    )


def test_ndjson_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.ndjson", '{"a": 1}\n\n[1]\n') == (
        "PATH holds an array on line 3: give one object on each line, or one array of objects."
    )


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", "", "PATH is empty: give a file with at least one document."),
        ("a.json", b"\xef\xbb\xbf \n", "PATH is empty: give a file with at least one document."),
        ("a.json", b'[{"a": "\xff"}]', "PATH is not UTF-8 at byte 8: convert it to UTF-8 first."),
        ("a.json", b"[{}]\xc3", "PATH is not UTF-8 at byte 4: convert it to UTF-8 first."),
        (
            "a.json",
            "[{}]".encode("utf-16"),
            "PATH is UTF-16, not UTF-8, from byte 0 on: convert it to UTF-8 first.",
        ),
        ("a.json", b"\x1f\x8b\x08", "PATH is compressed (gzip): unpack it first."),
        (
            "a.json",
            "nope",
            "PATH begins with `n`, which begins neither an array nor an object: give an array of objects.",
        ),
        (
            "a.xml",
            "<a/>",
            "PATH is not a kind of file that Sheaf reads: give .json, .ndjson, .jsonl, .csv or .tsv.",
        ),
    ],
)
def test_file_of_unknown_encoding_or_kind_is_refused(
    tmp_path: Path, name: str, content: str | bytes, sentence: str
) -> None:
    assert refusal(tmp_path / name, content) == sentence


def test_path_that_is_no_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartupFailure) as failure:
        open_source(tmp_path)
    assert (
        str(failure.value)
        == f"{tmp_path} is a directory: name the files in it, for example {tmp_path}/*.json."
    )
    with pytest.raises(StartupFailure) as failure:
        open_source(tmp_path / "no.json")
    assert str(failure.value) == f"{tmp_path / 'no.json'} does not exist: check the path."
    device = Path("/dev/null")
    with pytest.raises(StartupFailure) as failure:
        open_source(device)
    assert str(failure.value) == (
        "/dev/null is not a regular file, and it must be read more than once: save it first."
    )


def test_document_beyond_16_mb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor, "CHUNK_BYTES", 1024)
    monkeypatch.setattr(cursor, "MAXIMUM_DOCUMENT_BYTES", 10_000)
    assert refusal(tmp_path / "a.json", '[{},\n{"a": "' + "x" * 20_000 + '"}]') == (
        "PATH has a document of more than 16 MB at line 2, which is the most that MongoDB stores: "
        "split it into several."
    )


def test_file_that_changes_between_readings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"a": "ab"}\n')
    (source,) = open_source(path)
    path.write_bytes(b'{"a": "\xff\xff"}\n')
    with pytest.raises(StartupFailure) as failure:
        list(source.documents())
    assert str(failure.value) == f"{path} has changed while it was read: start again."
    path.unlink()
    with pytest.raises(StartupFailure, match="cannot be read"):
        list(source.documents())
