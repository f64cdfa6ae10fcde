"""Seeds under changing secrets, and challenges; tests/scenarios/test_second_factor.py has the rest."""

import asyncio

import pyotp
import pytest

from models.second_factor import SecondFactor
from models.user import User
from service.identity.second_factor.factors import Enrolment, SecondFactors
from service.kit.errors import CodeWrong, SecondFactorPresent
from service.kit.sealing import Sealer
from service.storage.database import Database

OLD, NEW = "the secret of yesterday, long enough for it", "the secret of today, long enough for all of it"
NOW_S = 1_999_999_980.0


@pytest.fixture
async def user(database: Database) -> User:
    await database.initialise([User, SecondFactor])
    return await User(email="Ann@example.com", email_key="ann@example.com").insert()


def factors(*secrets: str, now_s: float = NOW_S) -> SecondFactors:
    return SecondFactors(Sealer(secrets), "Sheaf: the test", lambda: now_s)


async def enabled(user: User, *secrets: str) -> tuple[Enrolment, list[str]]:
    begun = await factors(*secrets).begin(user)
    return begun, await factors(*secrets).confirm(str(user.id), pyotp.TOTP(begun.secret).at(NOW_S))


async def test_enrolment_uri_names_the_service_and_the_account(user: User) -> None:
    begun = await factors(NEW).begin(user)
    read = pyotp.parse_uri(begun.uri)
    assert isinstance(read, pyotp.TOTP)
    assert (read.secret, read.name, read.issuer) == (begun.secret, "Ann@example.com", "Sheaf: the test")
    assert (read.digits, read.interval) == (6, 30)


async def test_seed_of_an_earlier_secret_is_read_and_resealed(user: User) -> None:
    begun, _ = await enabled(user, OLD)
    code = pyotp.TOTP(begun.secret).at(NOW_S + 30)
    both = factors(NEW, OLD, now_s=NOW_S + 30)
    assert await both.use(str(user.id), code) == "totp"
    assert [await both.reseal() for _ in range(2)] == [1, 0]
    alone = factors(NEW, now_s=NOW_S + 60)
    assert await alone.use(str(user.id), pyotp.TOTP(begun.secret).at(NOW_S + 60)) == "totp"


async def test_resealing_covers_more_seeds_than_one_batch(database: Database) -> None:
    await database.initialise([User, SecondFactor])
    sealer = Sealer([OLD])
    seeds = [
        SecondFactor(id=str(number), seed=sealer.seal("second factor", b"seed"), sealed_with="x")
        for number in range(250)
    ]
    await SecondFactor.insert_many(seeds)
    numbers = await asyncio.gather(*(factors(NEW, OLD).reseal() for _ in range(2)))
    assert sum(numbers) == 250
    resealed = await SecondFactor.find_all().to_list()
    assert {Sealer([NEW]).unseal("second factor", each.seed) for each in resealed} == {b"seed"}


async def test_resealing_runs_when_the_service_starts(user: User) -> None:
    await enabled(user, OLD)
    async with asyncio.timeout(30), factors(NEW, OLD).resealing():
        while (factor := await SecondFactor.get(str(user.id))) is not None:
            if Sealer([NEW]).unseal("second factor", factor.seed) is not None:
                return
            await asyncio.sleep(0.01)


async def test_recovery_code_works_when_the_secret_is_lost(user: User) -> None:
    begun, codes = await enabled(user, OLD)
    alone = factors(NEW, now_s=NOW_S + 30)
    assert await alone.reseal() == 0
    with pytest.raises(CodeWrong):
        await alone.use(str(user.id), pyotp.TOTP(begun.secret).at(NOW_S + 30))
    assert await alone.use(str(user.id), codes[9]) == "recovery_code"


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "١٢٣٤٥٦", "12345a", "-123456", "aaaaaaaaaaaaaaa1", "aaaa", "0" * 64]
)
async def test_malformed_code_is_wrong(user: User, code: str) -> None:
    await enabled(user, NEW)
    before = await SecondFactor.get(str(user.id))
    with pytest.raises(CodeWrong):
        await factors(NEW).use(str(user.id), code)
    assert await SecondFactor.get(str(user.id)) == before


async def test_code_with_spaces_is_accepted(user: User) -> None:
    begun, _ = await enabled(user, NEW)
    code = pyotp.TOTP(begun.secret).at(NOW_S + 30)
    assert await factors(NEW, now_s=NOW_S + 30).use(str(user.id), f" {code[:3]} {code[3:]}") == "totp"


async def test_begin_with_a_factor_in_force_is_refused(user: User) -> None:
    await enabled(user, NEW)
    before = await SecondFactor.get(str(user.id))
    with pytest.raises(SecondFactorPresent):
        await factors(NEW).begin(user)
    assert await SecondFactor.get(str(user.id)) == before
