import json
from pathlib import Path
from typing import Any

import pytest

from service.transfer.sources import open_source

UUID = "2eb8aa08-aa98-41ea-b4aa-73b441d16380"
HEX = "5f0c6b2e9d1e8a0001a1b2c3"
KEPT = "The documents get new ids, and `id` is kept as `source_id`: "


def write(path: Path, documents: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(documents))
    return path


@pytest.mark.parametrize(
    ("ids", "id_type"),
    [
        ([1, 2, 0, -5, 2**53 - 1], "integer"),
        ([UUID, UUID.replace("2", "3").upper()], "uuid"),
        ([HEX, HEX.replace("3", "4").upper()], "objectid"),
        (["a", "b c", "é", "x" * 200], "string"),
        (["1", "2"], "string"),
        ([UUID, HEX, "other"], "string"),
    ],
)
@pytest.mark.parametrize("member", ["id", "_id"])
def test_unique_ids_of_one_type_become_document_ids(
    tmp_path: Path, ids: list[Any], id_type: str, member: str
) -> None:
    (source,) = open_source(write(tmp_path / "a.json", [{"n": 1, member: each} for each in ids]))
    assert source.id_type == id_type
    assert list(source.documents()) == [{"n": 1, "id": each} for each in ids]
    assert source.notes == ()


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([{"id": 1}, {}], "1 of 2 documents have no `id`."),
        ([{"id": 1}, {"id": None}], "1 of 2 documents have no `id`."),
        ([{"id": None}], "1 of 1 documents have no `id`."),
        ([{"id": 7}, {"id": 7}, {"id": 8}], "the `id` 7 occurs more than once."),
        ([{"id": HEX}, {"id": HEX.upper()}], f'the `id` "{HEX.upper()}" occurs more than once.'),
        ([{"id": 1}, {"id": "a"}], "`id` is an integer in some documents and text in others."),
        ([{"id": 1.5}], "some values of `id` cannot be in a URL."),
        ([{"id": "query"}], "some values of `id` cannot be in a URL."),
        ([{"id": True}], "some values of `id` cannot be in a URL."),
        ([{"id": 2**53}], "some values of `id` cannot be in a URL."),
        ([{"id": {"a": 1}}], "some values of `id` cannot be in a URL."),
        ([{"id": ""}], "some values of `id` cannot be in a URL."),
        ([{"id": "a/b"}], "some values of `id` cannot be in a URL."),
        ([{"id": ".."}], "some values of `id` cannot be in a URL."),
        ([{"id": "a\nb"}], "some values of `id` cannot be in a URL."),
        ([{"id": "x" * 201}], "some values of `id` cannot be in a URL."),
    ],
)
def test_unusable_ids_are_kept_under_another_name(
    tmp_path: Path, documents: list[dict[str, Any]], reason: str
) -> None:
    (source,) = open_source(write(tmp_path / "a.json", documents))
    assert source.id_type is None
    assert source.notes == (KEPT + reason,)
    assert list(source.documents()) == [
        {"source_id": document["id"]} if "id" in document else {} for document in documents
    ]


def test_kept_ids_get_a_name_that_no_document_has(tmp_path: Path) -> None:
    documents: list[dict[str, Any]] = [
        {"id": 1, "source_id": "a", "n": 1},
        {"source_id_2": 1},
        {"id": 1, "n": 2},
    ]
    (source,) = open_source(write(tmp_path / "a.json", documents))
    assert list(source.documents()) == [
        {"source_id_3": 1, "source_id": "a", "n": 1},
        {"source_id_2": 1},
        {"source_id_3": 1, "n": 2},
    ]


def test_documents_without_ids_are_unchanged(tmp_path: Path) -> None:
    (source,) = open_source(write(tmp_path / "a.json", [{"n": 1}]))
    assert (source.id_type, source.notes) == (None, ())
