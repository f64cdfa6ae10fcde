from pathlib import Path
from typing import Any

import pytest

from service.kit.errors import StartupFailure
from service.transfer.sources import open_source


def read(directory: Path, content: str | bytes, name: str = "a.csv") -> list[dict[str, Any]]:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (source,) = open_source(path)
    first = list(source.documents())
    assert list(source.documents()) == first
    assert source.count == len(first)
    assert source.bytes_read == source.size_bytes == path.stat().st_size
    return first


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-7", "0"], [1, -7, 0]),
        (["1", "7.5", " 8 "], [1.0, 7.5, 8.0]),
        (["1.0", "2"], [1.0, 2.0]),
        ([".5", "1e-05", "-1.5E3"], [0.5, 1e-05, -1500.0]),
        (["1", "", "3"], [1, None, 3]),
        (["1.5", "NA", "NaN", "null"], [1.5, None, None, None]),
        (["true", "False", "TRUE", "n/a"], ["true", "False", "TRUE", "n/a"]),
        (["true", "False", "TRUE", "N/A"], [True, False, True, None]),
        (["00501", "10001"], ["00501", "10001"]),
        (["12E5", "7"], ["12E5", "7"]),
        (["+49123", "7"], ["+49123", "7"]),
        (["1", "two"], ["1", "two"]),
        (["true", "1"], ["true", "1"]),
        (["x", "NA", ""], ["x", "NA", None]),
        (["None", "null"], ["None", "null"]),
        (["1234567890123456789", "1"], ["1234567890123456789", "1"]),
        (["Jan 1 2000", "2012/01/01"], ["Jan 1 2000", "2012/01/01"]),
        (["2012-01-01", "2012-01-02"], ["2012-01-01", "2012-01-02"]),
        (["1,5", "2,5"], ["1,5", "2,5"]),
        (["yes", "no"], ["yes", "no"]),
        (["", ""], [None, None]),
    ],
)
def test_column_has_type_common_to_its_cells(tmp_path: Path, cells: list[str], values: list[Any]) -> None:
    rows = "".join(f"k\t{cell}\n" for cell in cells)
    found = read(tmp_path, f"key\tvalue\n{rows}", "a.tsv")
    assert [document["value"] for document in found] == values
    assert [type(document["value"]) for document in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    "content",
    [
        "name,note\nAnn,7\nBob,8\n",
        "name;note\r\nAnn;7\r\nBob;8",
        "name\tnote\nAnn\t7\n\nBob\t8\n\n",
        "name|note\nAnn|7\nBob|8\n",
        b"\xef\xbb\xbfname,note\nAnn,7\nBob,8\n",
        '"name", note \n"Ann","7"\nBob,8\n',
        "name,note,\nAnn,7,\nBob,8,\n",
    ],
)
def test_csv_dialect_is_detected(tmp_path: Path, content: str | bytes) -> None:
    assert read(tmp_path, content) == [{"name": "Ann", "note": 7}, {"name": "Bob", "note": 8}]


def test_quoted_cells_may_contain_line_ends_quotes_and_delimiters(tmp_path: Path) -> None:
    content = 'name,text\nAnn,"one\ntwo, ""three"""\nBob,;\n'
    assert read(tmp_path, content) == [
        {"name": "Ann", "text": 'one\ntwo, "three"'},
        {"name": "Bob", "text": ";"},
    ]


def test_csv_file_with_one_column_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "n\n1\n2\n") == [{"n": 1}, {"n": 2}]


def test_columns_without_storable_name_get_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",a.b,_x,x\n0,1,2,3\n")
    (source,) = open_source(path)
    assert list(source.documents()) == [{"field": 0, "a_b": 1, "x_2": 2, "x": 3}]
    assert source.renames == {"a.b": "a_b", "_x": "x_2"}


def test_short_rows_are_filled_with_null_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,3\n4\n5,6\n")
    (source,) = open_source(path)
    assert list(source.documents()) == [
        {"a": 1, "b": 2, "c": 3},
        {"a": 4, "b": None, "c": None},
        {"a": 5, "b": 6, "c": None},
    ]
    assert source.notes == ("Rows with fewer cells than there are columns: 2; what they lack is null.",)


def test_long_csv_cells_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, f"a,b\n{'x' * 200_000},1\n") == [{"a": "x" * 200_000, "b": 1}]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "a,b\n1,2\n1,2,3\n",
            (
                "PATH has 3 cells on line 3, but 2 columns: "
                "put cells that contain the delimiter in double quotes."
            ),
        ),
        ("a,b, a\n1,2,3\n", "PATH has two columns called `a`: give every column a name of its own."),
        ("a,b\n", "PATH has no documents: give at least one, so that a schema can be inferred."),
        ("\n\n", "PATH is empty: give a file with at least one document."),
        (
            'a,b\n1,"2\n3,4\n',
            (
                "PATH is not valid CSV on line 3 (unexpected end of data): "
                "correct the double quotes there and start again."
            ),
        ),
        (
            'a,b\n1,"2"3\n',
            (
                "PATH is not valid CSV on line 2 (',' expected after '\"'): "
                "correct the double quotes there and start again."
            ),
        ),
        (b"a,b\n1,caf\xe9\n", "PATH is not UTF-8 at byte 9: convert it to UTF-8 first."),
    ],
)
def test_unimportable_csv_file_is_refused_in_one_sentence(
    tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StartupFailure) as failure:
        open_source(path)
    assert str(failure.value) == sentence.replace("PATH", str(path))
