"""Sources into collections: the first time, again, after a change of the file, after a cut."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from litestar import Litestar

from models.base import utc_now
from models.file_import import FileImport
from service.collections import change
from service.collections.registry import Registry
from service.documents.loading import Loaded, Refusal
from service.kit.errors import CollectionExists, StartupFailure
from service.transfer import imports
from service.transfer.imports import Outcome
from service.transfer.sources import open_source
from tests import operator
from tests.services import services_of
from tests.transfer.vega import vega

FILMS = [{"title": f"Film {number}", "year": 1990 + number} for number in range(5)]


@pytest.fixture
def registry(app: Litestar) -> Registry:
    found = services_of(app).registry
    assert isinstance(found, Registry)
    return found


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return write(tmp_path / "films.json", FILMS)


def write(path: Path, documents: Any) -> Path:
    path.write_text(json.dumps(documents))
    return path


async def bring(registry: Registry, path: Path) -> Outcome:
    (described,) = imports.describe(open_source(path))
    return await imports.bring(registry, described, described.source.documents())


def told(outcome: Outcome) -> tuple[Any, ...]:
    return (outcome.circumstance, outcome.loaded, outcome.in_file, outcome.present)


async def test_imported_file_becomes_open_collection(registry: Registry, films: Path) -> None:
    began = utc_now()
    outcome = await bring(registry, films)
    assert told(outcome) == ("new", Loaded(created=5), 5, 5)
    assert outcome.collection.uid == registry.get("films").uid
    assert outcome.collection.description.source == {
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "films",
            "type": "object",
            "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
            "required": ["title", "year"],
            "additionalProperties": False,
        },
        "rules": {"read": "anyone", "write": "anyone"},
        "indexes": [],
        "options": {},
        "queries": {},
        "rule_tests": [],
    }
    ids = [each["_id"] async for each in outcome.collection.documents.find({}, {"_id": 1})]
    assert began.replace(microsecond=0) <= min(ids).generation_time <= utc_now()
    created = await operator.created(outcome.collection, {"title": "New", "year": 2030})
    assert created["_id"].generation_time >= max(ids).generation_time


async def test_unchanged_file_is_not_imported_again(registry: Registry, films: Path) -> None:
    collection = (await bring(registry, films)).collection
    await collection.documents.delete_one({"title": "Film 2"})
    assert told(await bring(registry, films)) == ("unchanged", Loaded(), 5, 4)


async def test_changed_file_imports_only_new_documents(registry: Registry, films: Path) -> None:
    await bring(registry, films)
    write(films, [{**FILMS[0], "title": "Changed"}, *FILMS[1:], {"title": "Film 5", "year": 1995}])
    outcome = await bring(registry, films)
    assert told(outcome) == ("changed", Loaded(created=1, skipped=5), 6, 6)
    titles = [each["title"] async for each in outcome.collection.documents.find(sort=[("_id", 1)])]
    assert titles == [f"Film {number}" for number in range(6)]


async def test_documents_that_do_not_fit_schema_are_refused(registry: Registry, films: Path) -> None:
    await bring(registry, films)
    write(films, [*FILMS, {"title": 7, "year": 1995}])
    refusal = Refusal(5, "/title: 7 is not a string")
    loaded = Loaded(skipped=5, refused=1, first_refusals=[refusal])
    assert told(await bring(registry, films)) == ("changed", loaded, 6, 5)
    assert told(await bring(registry, films)) == ("unchanged", Loaded(), 6, 5)


async def test_interrupted_import_is_completed(registry: Registry, tmp_path: Path) -> None:
    films = write(tmp_path / "films.json", [{"title": f"Film {number}"} for number in range(2500)])
    (described,) = imports.describe(open_source(films))

    def cut_off() -> Iterator[dict[str, Any]]:
        for number, document in enumerate(described.source.documents()):
            if number == 1700:
                raise InterruptedError
            yield document

    with pytest.raises(InterruptedError):
        await imports.bring(registry, described, cut_off())
    assert told(await bring(registry, films)) == (
        "cut off",
        Loaded(created=1500, skipped=1000),
        2500,
        2500,
    )


async def test_deleted_collection_is_imported_anew(registry: Registry, films: Path) -> None:
    await bring(registry, films)
    await change.delete(registry, "films")
    assert told(await bring(registry, films)) == ("new", Loaded(created=5), 5, 5)


async def test_ids_of_file_become_document_ids(registry: Registry, tmp_path: Path) -> None:
    path = write(tmp_path / "films.json", [{"id": number, **FILMS[0]} for number in (7, 3)])
    outcome = await bring(registry, path)
    assert outcome.collection.description.options.id_type == "integer"
    assert sorted([each["_id"] async for each in outcome.collection.documents.find()]) == [3, 7]


async def test_code_first_collection_takes_documents_that_fit(registry: Registry, tmp_path: Path) -> None:
    products = [{"id": 1, "name": "Chair", "price": 30}, {"id": 2, "name": "Table", "price": -1}]
    path = write(tmp_path / "products.json", products)
    outcome = await bring(registry, path)
    refusal = Refusal(1, "/price: -1 is less than the minimum of 0")
    assert told(outcome) == ("new", Loaded(created=1, refused=1, first_refusals=[refusal]), 2, 1)
    assert outcome.notes == ("`products` makes its own ids: the file's `id` is left out.",)
    stored = await outcome.collection.documents.find_one()
    assert isinstance(stored["_id"], ObjectId)
    assert stored["tags"] == []


async def test_empty_array_becomes_collection_without_schema(registry: Registry, tmp_path: Path) -> None:
    path = write(tmp_path / "db.json", {"films": FILMS, "drafts": []})
    _, drafts = imports.describe(open_source(path))
    outcome = await imports.bring(registry, drafts, drafts.source.documents())
    assert told(outcome) == ("new", Loaded(), 0, 0)
    await operator.created(outcome.collection, {"anything": [{"at": "all"}]})


@pytest.mark.parametrize("name", ["films.json", "products.json"])
async def test_reset_collection_is_imported_anew(registry: Registry, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [{"name": "One", "price": 1}, {"name": "Two", "price": 2}])
    collection = (await bring(registry, path)).collection
    await operator.created(collection, {"name": "Three", "price": 3})
    await imports.reset(registry, path.stem)
    assert await FileImport.get(path.stem) is None
    assert told(await bring(registry, path)) == ("new", Loaded(created=2), 2, 2)


async def test_reset_of_missing_collection_does_nothing(registry: Registry) -> None:
    await imports.reset(registry, "nothing")


async def test_documents_without_definition_are_left_alone(registry: Registry, films: Path) -> None:
    await registry.database.motor["films"].insert_one({"secret": 1})
    with pytest.raises(CollectionExists, match="holds documents under `films` that no definition describes"):
        await bring(registry, films)
    assert await registry.database.motor["films"].count_documents({}) == 1
    assert await FileImport.get("films") is None


@pytest.mark.parametrize("name", ["airports.csv", "burtin.json", "crimea.json", "la-riots.csv", "wheat.json"])
async def test_every_document_of_real_file_is_imported(registry: Registry, name: str) -> None:
    outcome = await bring(registry, vega(name))
    assert told(outcome) == ("new", Loaded(created=outcome.in_file), outcome.in_file, outcome.in_file)


def test_fingerprint_differs_by_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"a")
    other.write_bytes(b"b")
    assert imports.fingerprint(one) != imports.fingerprint(other)
    other.write_bytes(b"a")
    assert imports.fingerprint(one) == imports.fingerprint(other)
    other.unlink()
    with pytest.raises(StartupFailure, match=r"other cannot be read \(No such file or directory\)"):
        imports.fingerprint(other)
