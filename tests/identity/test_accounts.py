import asyncio
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher

from models.user import User
from service.documents.preconditions import Expected
from service.http.controllers import profile
from service.identity.core import accounts
from service.identity.core.hashing import Passwords
from service.kit.errors import Busy, CredentialsWrong, DocumentNotFound, Stale
from service.runtime.settings import Settings
from service.storage import database as databases

EMAIL, PASSWORD = "Root@example.com", "correct horse"


@pytest.fixture
async def passwords(settings: Settings) -> AsyncIterator[Passwords]:
    """Provide what hashes passwords, with a database for the accounts."""
    assert settings.mongodb_uri is not None
    database = databases.connect(
        settings.mongodb_uri.get_secret_value(),
        settings.database,
        pool_size=20,
        selection_timeout_s=5,
        operation_timeout_s=5,
    )
    await database.initialise([User])
    passwords = Passwords(threads=2)
    yield passwords
    passwords.close()
    database.close()


async def registered(passwords: Passwords, name: str | None = None) -> User:
    """Return an account that is there already, with two roles."""
    user = User(
        email=EMAIL,
        email_key=accounts.email_key(EMAIL),
        password_hash=await passwords.hash(PASSWORD),
        name=name,
        roles=["editor", "admin"],
    )
    return await user.insert()


async def sign_in(passwords: Passwords, email: str, password: str) -> User:
    return await accounts.check(passwords, await accounts.find(email), password)


async def test_account_is_found_by_its_address_in_any_case(passwords: Passwords) -> None:
    made = await registered(passwords, "Root")
    user = await sign_in(passwords, "root@EXAMPLE.COM", PASSWORD)
    assert profile.User.of(user).members() == {
        "id": str(made.id),
        "email": "Root@example.com",
        "is_email_verified": False,
        "name": "Root",
        "roles": ["admin", "editor"],
        "_version": 1,
        "_created_at": made.created_at,
        "_updated_at": made.updated_at,
    }


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong"), ("a@x.io", PASSWORD), ("root", PASSWORD)])
async def test_wrong_credentials_raise_one_failure_whatever_is_wrong(
    passwords: Passwords, email: str, password: str
) -> None:
    await registered(passwords)
    with pytest.raises(CredentialsWrong) as caught:
        await sign_in(passwords, email, password)
    assert caught.value.detail == "The e-mail address or the password is wrong"


async def test_disabled_account_cannot_sign_in_be_read_or_changed(passwords: Passwords) -> None:
    user_id = str((await registered(passwords)).id)
    await User.find_all().update({"$set": {"is_disabled": True}})
    with pytest.raises(CredentialsWrong):
        await sign_in(passwords, EMAIL, PASSWORD)
    with pytest.raises(DocumentNotFound):
        await accounts.get(user_id)
    with pytest.raises(DocumentNotFound):
        await accounts.update_profile(user_id, {"name": "Ghost"})


@pytest.mark.parametrize("user_id", ["", "1", "64b64b64b64b64b64b64b64b", "$where"])
async def test_unknown_id_finds_no_account(passwords: Passwords, user_id: str) -> None:
    await registered(passwords)
    with pytest.raises(DocumentNotFound):
        await accounts.get(user_id)


async def test_profile_change_at_another_version_is_stale(passwords: Passwords) -> None:
    user_id = str((await registered(passwords)).id)
    changed = await accounts.update_profile(user_id, {"name": "A"}, Expected(frozenset({"1", "x"})))
    assert (changed.name, changed.version) == ("A", 2)
    with pytest.raises(Stale) as caught:
        await accounts.update_profile(user_id, {"name": "B"}, Expected(frozenset({"1"})))
    assert caught.value.extra == {"_version": 2}
    assert (await accounts.update_profile(user_id, {"name": None}, Expected(None))).name is None


async def test_sign_in_renews_a_hash_of_another_cost(passwords: Passwords) -> None:
    user_id = str((await registered(passwords)).id)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await User.find_all().update({"$set": {"password_hash": weak}})
    await sign_in(passwords, EMAIL, PASSWORD)
    renewed = (await accounts.get(user_id)).password_hash
    assert renewed is not None
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await sign_in(passwords, EMAIL, PASSWORD)
    assert (await accounts.get(user_id)).password_hash == renewed


async def test_flood_of_sign_ins_is_refused_as_busy(passwords: Passwords) -> None:
    outcomes = await asyncio.gather(
        *(sign_in(passwords, f"{number}@example.com", PASSWORD) for number in range(200)),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes} == {Busy, CredentialsWrong}
