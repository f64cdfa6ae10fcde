"""The command line: each failure is one sentence and an exit code, and nothing is half-done."""

import importlib.metadata
import socket
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
from click.testing import CliRunner, Result

from service.cli import COMMANDS, main
from service.dev import mongod
from service.runtime import settings

SECRET = "a-secret-of-the-tests-and-of-nobody-else"
OF_NOBODY = "mongodb://127.0.0.1:1/"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(settings.variable(name), raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.iterdir())


def run(*arguments: str, typed: str = "", **variables: str) -> Result:
    """Run `sheaf` with settings given as keywords."""
    named = {settings.variable(name): value for name, value in variables.items()}
    return CliRunner().invoke(main, arguments, input=typed, env=named)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["serve", "--prot", "1"],
            2,
            "No such option '--prot'. (Did you mean one of: '--host', '--port'?)",
        ),
        (["serv"], 2, "`serv` is not a command. Did you mean `serve`?"),
        (["fly"], 2, "`fly` is not a command. See `sheaf --help`."),
        (["serve", "--port", "x"], 2, "Invalid value for '--port': 'x' is not a valid integer."),
        (["serve", "more"], 2, "Got unexpected extra argument (more)"),
        (["user", "create"], 2, "Missing argument 'EMAIL'."),
        (
            ["user", "create", "a@example.com", "--generate", "--password-stdin"],
            2,
            "Choose one of --password-stdin and --generate.",
        ),
        (
            ["user", "create", "a@example.com"],
            2,
            "There is no terminal to ask for the password; use --password-stdin or --generate.",
        ),
    ],
)
def test_wrong_usage_fails_with_one_sentence(arguments: list[str], code: int, sentence: str) -> None:
    ended = run(*arguments, jwt_secret=SECRET)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (code, "", f"sheaf: {sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (
            ["serve"],
            {},
            (
                "SHEAF_JWT_SECRET must be set in production, to at least 32 bytes"
                " (make one with `openssl rand -base64 48`)."
            ),
        ),
        (["serve"], {"jwt_secret": "short"}, "SHEAF_JWT_SECRET is wrong: must have at least 32 bytes."),
        (
            ["serve"],
            {"jwt_secret": SECRET, "port": "0"},
            (
                "MONGODB_URI must be set in production, to a replica set or Atlas;"
                " `sheaf dev` brings a MongoDB of its own."
            ),
        ),
        (
            ["serve", "--port", "70000"],
            {"jwt_secret": SECRET, "port": "0"},
            "SHEAF_PORT is wrong: input should be less than or equal to 65535.",
        ),
        (
            ["serve", "--host", "300.1.2.3"],
            {"jwt_secret": SECRET, "port": "0"},
            "SHEAF_HOST is wrong: `300.1.2.3` is not an address or a known name.",
        ),
        (
            ["user", "create", "a@example.com", "--generate"],
            {"jwt_secret": SECRET, "mongodb_uri": OF_NOBODY, "database_timeout_s": "0.1"},
            "MongoDB cannot be reached; check that MONGODB_URI is right and that it runs.",
        ),
        (
            ["serve", "--cors", "https://a.example", "--cors", "b.example/"],
            {"jwt_secret": SECRET, "port": "0"},
            (
                "SHEAF_CORS_ORIGINS is wrong: `b.example/` is not an origin as browsers spell it;"
                " write `https://b.example`."
            ),
        ),
        (
            ["serve", "--cors", "*"],
            {"jwt_secret": SECRET, "port": "0", "cors_credentials": "true"},
            "SHEAF_CORS_ORIGINS may not be `*` while SHEAF_CORS_CREDENTIALS is on; list the origins.",
        ),
        (
            ["settings"],
            {"cors_origins": "https://*.example"},
            "SHEAF_CORS_ORIGINS is wrong: `https://*.example` ",
        ),
        (["settings"], {"workers": "many"}, "SHEAF_WORKERS is wrong: input should be a valid integer, "),
    ],
)
def test_command_that_cannot_start_fails_with_one_sentence(
    arguments: list[str], variables: dict[str, str], sentence: str
) -> None:
    ended = run(*arguments, **variables)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"sheaf: {sentence}")
    assert ended.stderr.count("\n") == 1


def test_port_in_use_fails_before_anything_starts() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = run("serve", "--port", port, jwt_secret=SECRET, mongodb_uri=OF_NOBODY)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"sheaf: Port {port} on 127.0.0.1 is in use;"
        " stop what uses it, or set SHEAF_PORT (0 takes a free one).\n"
    )


def test_version_is_that_of_distribution() -> None:
    assert run("--version").stdout == f"sheaf {importlib.metadata.version('sheaf-api')}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_names_every_command(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.exit_code == 0
    assert all(f"\n  {name} " in ended.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    ended = run(name, "--help")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: main {name}")


def test_settings_are_printed_without_secrets() -> None:
    ended = run(
        "settings", jwt_secret=SECRET, mongodb_uri="mongodb://ann:hunter2@db/x", jwt_previous_secrets=SECRET
    )
    printed = dict(line.split("=", 1) for line in ended.stdout.splitlines())
    assert ended.exit_code == 0
    assert list(printed) == [settings.variable(name) for name in settings.Settings.model_fields]
    assert (printed["SHEAF_PORT"], printed["SHEAF_JWT_SECRET"]) == ("8000", "********")
    assert printed["MONGODB_URI"] == "mongodb://db/x"
    assert SECRET not in ended.stdout
    assert "hunter2" not in ended.stdout


@pytest.fixture
def store(mongodb_uri: str) -> Iterator[dict[str, str]]:
    """Yield the settings of a database that is dropped afterwards."""
    name = "test_cli"
    yield {"jwt_secret": SECRET, "mongodb_uri": mongodb_uri, "database": name}
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(name)


def test_second_account_with_same_address_is_refused(store: dict[str, str]) -> None:
    command = ["user", "create", "Ann@example.com", "--admin", "--role", "editor", "--password-stdin"]
    password = "correct horse battery"
    made = run(*command, typed=f"{password}\n", **store)
    assert (made.exit_code, made.stderr) == (0, "")
    assert made.stdout == "Created Ann@example.com (roles: admin, editor).\n"
    again = run("user", "create", "ann@EXAMPLE.com", "--generate", **store)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == "sheaf: An account with this e-mail address exists already\n"
    with pymongo.MongoClient[dict[str, object]](store["mongodb_uri"]) as client:
        (user,) = client[store["database"]]["_users"].find()
    assert user["roles"] == ["admin", "editor"]
    assert str(user["password_hash"]).startswith("$argon2id$")


def test_generated_password_is_printed_once(store: dict[str, str]) -> None:
    made = run("user", "create", "bob@example.com", "--generate", **store)
    created, password = made.stdout.splitlines()
    assert (made.exit_code, created) == (0, "Created bob@example.com (roles: none).")
    assert len(password.removeprefix("Password, shown only now: ")) == 24


@pytest.mark.parametrize(
    ("email", "password", "sentence"),
    [
        ("nobody", "correct horse battery", "An email address must have an @-sign."),
        ("ann@example.com", "", ""),
    ],
)
def test_invalid_account_is_refused(store: dict[str, str], email: str, password: str, sentence: str) -> None:
    ended = run("user", "create", email, "--password-stdin", typed=f"{password}\n", **store)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"sheaf: {sentence}")
    assert ended.stderr.count("\n") == 1


def test_account_is_made_in_private_mongodb_running_or_not(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("home")
    with mongod.start(home):
        made = run("user", "create", "ann@example.com", "--generate", "--admin", data=str(home))
        assert (made.exit_code, made.stderr) == (0, "")
    assert mongod.running(home) is None
    made = run("user", "create", "bob@example.com", "--generate", "--data", str(home), mongodb_uri="")
    assert (made.exit_code, made.stderr) == (0, "")
    again = run("user", "create", "ann@example.com", "--generate", "--data", str(home), mongodb_uri="")
    assert again.stderr == "sheaf: An account with this e-mail address exists already\n"
