"""`sheaf user …` on a real MongoDB: it does what the API does, and says so in one line."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.runtime.settings import LONGEST_ACCESS_TOKEN_TTL_S

SECRET = "a-secret-of-the-tests-and-of-nobody-else"
PASSWORD = "a long and winding sentence"
ANN = "ann@example.com"

Sheaf = Callable[..., Result]
Stored = pymongo.database.Database[dict[str, Any]]


@pytest.fixture
def stored(mongodb_uri: str, drop: Callable[[str], object]) -> Iterator[Stored]:
    """Yield a database of its own, as it is stored."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        database = client[f"test_{uuid4().hex[:12]}"]
        yield database
        drop(database.name)


@pytest.fixture
def sheaf(stored: Stored, mongodb_uri: str, monkeypatch: pytest.MonkeyPatch) -> Sheaf:
    """Return a function that runs `sheaf user` there."""
    monkeypatch.setenv("MONGODB_URI", mongodb_uri)
    monkeypatch.setenv("SHEAF_DATABASE", stored.name)
    monkeypatch.setenv("SHEAF_JWT_SECRET", SECRET)
    monkeypatch.setattr("service.identity.users.removal.STRAY_S", 0.0)

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, ["user", *arguments], input=typed)

    return run


def made(sheaf: Sheaf, email: str = ANN, *options: str) -> None:
    ended = sheaf("create", email, "--password-stdin", *options, typed=PASSWORD + "\n")
    assert ended.exit_code == 0, ended.output


def user(stored: Stored, email: str = ANN) -> Any:
    return stored["_users"].find_one({"email": email})


def test_created_account_is_listed_and_shown(sheaf: Sheaf, stored: Stored) -> None:
    made(sheaf, ANN, "--role", "editor", "--name", "Ann")
    made(sheaf, "root@example.com", "--admin")
    ann = user(stored)
    stored["products"].insert_many([{"_owner": str(ann["_id"])}, {"_owner": "another"}])
    listed = sheaf("list", "--role", "editor")
    assert (listed.stdout, listed.stderr) == (f"{ANN}  {ann['_id']}  editor\n", "1 user.\n")
    lines = sheaf("list", "--json").stdout.splitlines()
    assert [json.loads(line)["email"] for line in lines] == [ANN, "root@example.com"]
    shown = json.loads(sheaf("show", "Ann@Example.com").stdout)
    assert (shown["name"], shown["roles"], shown["documents"]) == ("Ann", ["editor"], {"products": 1})
    assert "password_hash" not in shown
    (event,) = stored["_audit"].find({"target.id": str(ann["_id"])})
    assert (event["action"], event["actor"]["kind"]) == ("user.created", "operator")


def test_roles_are_added_and_removed(sheaf: Sheaf, stored: Stored) -> None:
    made(sheaf, ANN, "--role", "author")
    ended = sheaf("roles", ANN, "--add", "editor", "--remove", "author")
    assert (ended.exit_code, ended.output) == (0, f"{ANN} has the roles: editor.\n")
    assert (user(stored)["roles"], user(stored)["epoch"]) == (["editor"], 1)
    revoked = stored["_revocations"].find_one({"_id": f"user:{user(stored)['_id']}"})
    assert revoked is not None
    longest_s = LONGEST_ACCESS_TOKEN_TTL_S  # the service may have been told of more than the terminal
    assert (revoked["expires_at"] - revoked["_updated_at"]).total_seconds() > longest_s


def test_account_is_disabled_and_enabled(sheaf: Sheaf, stored: Stored) -> None:
    made(sheaf)
    assert sheaf("disable", ANN).output == f"{ANN} is disabled.\n"
    assert user(stored)["is_disabled"] is True
    assert sheaf("enable", ANN).output == f"{ANN} is enabled.\n"
    assert user(stored)["is_disabled"] is False


def test_account_is_found_by_any_spelling_of_address(sheaf: Sheaf) -> None:
    made(sheaf, "ann@exämple.com")
    for spelling in ("ANN@EXÄMPLE.COM", "ann@xn--exmple-cua.com"):
        ended = sheaf("disable", spelling)
        assert ended.output == "ann@exämple.com is disabled.\n"


def test_password_is_replaced(sheaf: Sheaf, stored: Stored) -> None:
    made(sheaf)
    before = user(stored)["password_hash"]
    ended = sheaf("password", ANN, "--generate")
    assert ended.output.startswith(f"{ANN} has another password.\nPassword, shown only now: ")
    assert user(stored)["password_hash"] not in (None, before)
    assert sheaf("sign-out", ANN).output == f"{ANN} is signed out: 0 sessions ended.\n"


def test_account_without_epoch_gets_new_password(sheaf: Sheaf, stored: Stored) -> None:
    made(sheaf)
    stored["_users"].update_one({}, {"$unset": {"epoch": 1, "sign_outs": 1, "is_email_verified": 1}})
    ended = sheaf("password", ANN, "--generate")
    assert (ended.exit_code, user(stored)["epoch"]) == (0, 1), ended.output


@pytest.mark.parametrize(
    ("options", "left", "sentence"),
    [
        (["--documents", "keep"], 2, "."),
        (["--documents", "delete"], 1, ". 1 document deleted."),
        (["--documents", "transfer", "--to", "root@example.com"], 2, ". 1 document transferred."),
    ],
)
def test_account_is_removed(
    sheaf: Sheaf, stored: Stored, options: list[str], left: int, sentence: str
) -> None:
    made(sheaf)
    made(sheaf, "root@example.com", "--admin")
    mug = {"name": "Mug", "price": 1, "_version": 1}
    stored["products"].insert_many([mug | {"_owner": str(user(stored)["_id"])}, {"_owner": "another"}])
    ended = sheaf("remove", ANN, *options)
    assert (ended.exit_code, ended.output) == (0, f"{ANN} is removed{sentence}\n")
    assert user(stored) is None
    assert stored["products"].count_documents({}) == left


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["show", "nobody@example.com"], 1, "There is no account with the address nobody@example.com"),
        (["roles", ANN], 2, "Say which roles to --add or to --remove."),
        (["roles", ANN, "--add", "Admin!"], 1, "a role is a letter followed by at most 62 of"),
        (["remove", ANN], 2, "Missing option '--documents'."),
        (["remove", ANN, "--documents", "transfer"], 1, "`to` names who gets the documents"),
        (["remove", ANN, "--documents", "keep"], 1, "This is the last administrator"),
        (["roles", ANN, "--remove", "admin"], 1, "This is the last administrator"),
        (["disable", ANN], 1, "This is the last administrator"),
        (["create", ANN, "--generate"], 1, "An account with this e-mail address exists already"),
    ],
    ids=str,
)
def test_impossible_change_fails_with_one_sentence_and_changes_nothing(
    sheaf: Sheaf, stored: Stored, arguments: list[str], code: int, sentence: str
) -> None:
    made(sheaf, ANN, "--admin")
    before = user(stored)
    ended = sheaf(*arguments)
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert ended.stderr.startswith(f"sheaf: {sentence}")
    assert ended.stderr.count("\n") == 1 or code == 2
    assert user(stored) == before
