"""`sheaf dev` up to the moment when it serves: what it refuses, prepares and tells."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.dev import environment, preparation
from service.dev.preparation import PRODUCTS, CollectionSummary, Prepared
from service.kit.errors import StartupFailure
from service.runtime import settings
from service.runtime.settings import Development, Settings
from service.transfer import imports
from service.transfer.sources import open_sources

OF_NOBODY = "mongodb://127.0.0.1:1/"
FILMS = '[{"title": "Alien", "year": 1979}, {"title": "Brazil", "year": 1985}]'

Store = pymongo.database.Database[dict[str, Any]]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("SHEAF_", "MONGODB_"))]:
        del os.environ[name]
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(before)


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, ["dev", *arguments], env=variables)


def refused(result: Result, code: int = 1) -> str:
    """Return the one sentence of a refusal."""
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("sheaf: ").rstrip("\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "films.json does not exist: check the path."),
        ("", "films.json is empty: give a file with at least one document."),
        ("[]", "films.json has no documents: give at least one, so that a schema can be inferred."),
        (
            '[\n  {"a": 1},\n  {"a" 2}\n]',
            (
                "films.json is not valid JSON at line 3, column 8 (expecting ':' delimiter):"
                " correct it there and start again."
            ),
        ),
        (
            '[{"a": 1}, 2]',
            "films.json holds a number at index 1 (line 1, column 12): every one must be an object.",
        ),
        (
            '{"a": 1}',
            (
                "films.json is one object whose `a` is a number:"
                " give an array of objects, or an object whose members are arrays of objects."
            ),
        ),
        (
            '{"a": [], "b": [{}, []]}',
            (
                "the array `b` of films.json holds an array at index 1 (line 1, column 21):"
                " every one must be an object."
            ),
        ),
        (
            '[{"a": NaN}]',
            "films.json, line 1, column 8: NaN is not JSON (write null); correct it there and start again.",
        ),
    ],
)
def test_dev_with_bad_file_fails_before_anything_is_made(
    tmp_path: Path, content: str | None, sentence: str
) -> None:
    good = tmp_path / "good.json"
    good.write_text(FILMS)
    if content is not None:
        (tmp_path / "films.json").write_text(content)
    there = set(tmp_path.iterdir())
    assert refused(run("good.json", "films.json")) == sentence
    assert set(tmp_path.iterdir()) == there


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "sentence"),
    [
        (
            ["--prot", "1"],
            {},
            2,
            "No such option '--prot'. (Did you mean one of: '--host', '--port', '--reset'?)",
        ),
        (["--port", "x"], {}, 2, "Invalid value for '--port': 'x' is not a valid integer."),
        (["--port", "70000"], {}, 1, "SHEAF_PORT is wrong: input should be less than or equal to 65535."),
        (["--workers", "-1"], {}, 1, "SHEAF_WORKERS is wrong: input should be greater than or equal to 0."),
        (
            ["--host", "300.1.2.3"],
            {},
            1,
            "SHEAF_HOST is wrong: `300.1.2.3` is not an address or a known name.",
        ),
        ([], {"SHEAF_FILES": f"a.json{os.pathsep}b.json"}, 1, "a.json does not exist: check the path."),
        (
            ["--port", "0"],
            {"SHEAF_ENVIRONMENT": "production", "SHEAF_JWT_SECRET": "x" * 32},
            1,
            (
                "MONGODB_URI must be set in production, to a replica set or Atlas;"
                " `sheaf dev` brings a MongoDB of its own."
            ),
        ),
        (
            ["--port", "0"],
            {"SHEAF_RATE_LIMIT": "maybe"},
            1,
            "SHEAF_RATE_LIMIT is wrong: input should be 'on' or 'off'.",
        ),
    ],
)
def test_wrong_usage_fails_with_one_sentence(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], code: int, sentence: str
) -> None:
    assert refused(run(*arguments, **variables), code) == sentence
    assert not list(tmp_path.iterdir())


def test_port_in_use_fails_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        sentence = refused(run("--port", port))
    assert sentence == (
        f"Port {port} on 127.0.0.1 is in use; stop what uses it, or set SHEAF_PORT (0 takes a free one)."
    )
    assert not list(tmp_path.iterdir())


def test_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert refused(run("--port", "0", "--data", "data")) == (
        "The data directory data cannot be made, because a file is in its way;"
        " choose another with --data or SHEAF_DATA."
    )


def test_data_directory_in_use_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "data" / "mongodb.lock"
    lock.parent.mkdir()
    lock.write_text("4711")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sentence = refused(run("--port", "0", "--data", "data"))
    assert sentence == (
        f"The data directory {lock.parent} is in use by process 4711; stop it,"
        " or choose another with --data or SHEAF_DATA."
    )
    assert not (lock.parent / environment.KEPT_AS).exists()


def test_unreachable_mongodb_fails_with_one_sentence() -> None:
    variables = {"MONGODB_URI": OF_NOBODY, "SHEAF_OPERATION_TIMEOUT_S": "0.3"}
    assert refused(run("--port", "0", **variables)) == (
        "MongoDB cannot be reached; check that MONGODB_URI is right and that it runs."
    )


def test_development_secret_is_made_once_with_private_mode(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    environment.provide_secret(data)
    made = os.environ.pop("SHEAF_JWT_SECRET")
    assert len(made) >= 64
    assert stat.S_IMODE((data / environment.KEPT_AS).stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    environment.provide_secret(data)
    assert os.environ["SHEAF_JWT_SECRET"] == made
    assert [path.name for path in data.iterdir()] == [environment.KEPT_AS]


def test_damaged_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / environment.KEPT_AS).write_text("short")
    with pytest.raises(StartupFailure, match="secret is not a secret; delete it, and a new one is made"):
        environment.provide_secret(tmp_path)


def test_secret_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartupFailure, match=r"data cannot be used \(.*\); make it writable for this user"):
        environment.provide_secret(tmp_path / "data")


@pytest.fixture
def ready(mongodb_uri: str) -> Iterator[Settings]:
    """Yield the settings with which a database of this test is prepared."""
    os.environ["MONGODB_URI"] = mongodb_uri
    yield settings.load(Development, database="test_dev", database_timeout_s=10)
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database("test_dev")


@pytest.fixture
def store(ready: Settings) -> Iterator[Store]:
    assert ready.mongodb_uri is not None
    with pymongo.MongoClient[dict[str, Any]](ready.mongodb_uri.get_secret_value()) as client:
        yield client["test_dev"]


def prepare(ready: Settings, *paths: Path, reset: bool = False, seed: bool = True) -> Prepared:
    return preparation.prepare(ready, imports.describe(open_sources(paths)), reset=reset, seed=seed)


def test_dev_without_file_makes_products_and_administrator(ready: Settings, store: Store) -> None:
    prepared = prepare(ready)
    assert [(summary.name, summary.count, summary.is_open) for summary in prepared.collections] == [
        ("products", len(PRODUCTS), False)
    ]
    assert [each["name"] for each in store["products"].find(sort=[("_id", 1)])] == [
        each["name"] for each in PRODUCTS
    ]
    (account,) = store["_users"].find()
    assert (account["email"], account["roles"]) == ("admin@example.com", ["admin"])
    assert prepared.admin_password is not None
    assert len(prepared.admin_password) == 24

    again = prepare(ready)
    assert (again.collections, again.admin_password) == (prepared.collections, None)
    assert store["_users"].count_documents({}) == 1


def test_existing_products_are_seeded_again_only_on_reset(ready: Settings, store: Store) -> None:
    assert prepare(ready, seed=False).collections == (
        CollectionSummary("products", 0, is_open=False, example=None),
    )
    prepare(ready)
    store["products"].delete_many({"name": {"$ne": "Laptop"}})
    assert prepare(ready).collections[0].count == 1
    assert prepare(ready, reset=True).collections[0].count == len(PRODUCTS)
    assert prepare(ready, reset=True, seed=False).collections[0].count == 0


def test_registered_administrator_address_is_left_alone(ready: Settings, store: Store) -> None:
    prepare(ready)
    store["_users"].update_many({}, {"$set": {"roles": []}})
    assert prepare(ready).admin_password is None
    assert [account["roles"] for account in store["_users"].find()] == [[]]


def test_reset_touches_only_collections_of_the_files(
    ready: Settings, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, cars = tmp_path / "films.json", tmp_path / "cars.json"
    films.write_text(FILMS)
    cars.write_text('[{"name": "Volvo"}]')
    prepare(ready)
    first = prepare(ready, films, cars)
    assert [(summary.name, summary.count, summary.is_open) for summary in first.collections] == [
        ("films", 2, True),
        ("cars", 1, True),
        ("products", 12, False),
    ]
    for name in ("films", "cars", "products"):
        store[name].delete_many({})
    prepare(ready, films)
    again = prepare(ready, films, reset=True)
    assert [(summary.name, summary.count) for summary in again.collections] == [("films", 2)]
    assert store["_users"].count_documents({}) == 1
    assert capsys.readouterr().err.splitlines() == [
        "films: 2 documents imported.",
        "cars: 1 document imported.",
        "films: imported before; 2 in the file, 0 there now (--reset starts over).",
        "films: 2 documents imported.",
    ]


def test_refused_and_changed_documents_are_reported(
    ready: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films.json"
    films.write_text(FILMS)
    prepare(ready, films)
    films.write_text(FILMS[:-1] + ', {"title": 7, "year": 1}, {"title": "Clue", "year": 1985}]')
    prepare(ready, films)
    users = tmp_path / "users.json"
    users.write_text('[{"id": 1, "a.b": 1}, {"id": 1}]')
    prepare(ready, users)
    assert capsys.readouterr().err.splitlines() == [
        "films: 2 documents imported.",
        (
            "films: the file has changed: 1 document imported, 2 there already, which stay as they are"
            " (--reset starts over)."
        ),
        (
            "  1 document refused by the schema of `films`; the first is number 3 in the file"
            " (/title: 7 is not a string)."
        ),
        "  Change the schema, give the file another name, or start over with --reset.",
        "my-users: 2 documents imported.",
        "  `users` is a word of the API itself: the collection is `my-users`.",
        "  The documents get new ids, and `id` is kept as `source_id`: the `id` 1 occurs more than once.",
        "  Members whose names cannot be stored have new ones: `a.b` is `a_b`.",
    ]
