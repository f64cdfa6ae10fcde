"""The second factor, as its owner and those who have stolen the password meet it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NoReturn
from uuid import uuid4

import httpx
import pyotp
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from bson import ObjectId

from models.user import User
from service.audit import OPERATOR, AuditContext
from service.identity.core.credentials import remove_second_factor
from service.identity.core.hashing import Cost, Passwords
from service.identity.core.sessions import Client, Sessions
from service.identity.second_factor import SecondFactors
from service.kit.errors import DatabaseUnavailable
from tests.conftest import Service, served
from tests.pace import begun
from tests.scenarios.identity import CHALLENGE, LOGIN, PROFILE, problem
from tests.services import replaced, services_of

PATH, SECOND_STEP = "/api/auth/second-factor", "/api/auth/login/second-factor"
PASSWORD = "plum tractor under seven moons"
CHEAP = Cost(memory_kib=8, passes=1)
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
OFF = {"is_enabled": False, "enabled_at": None, "recovery_codes_left": 0}
WRONG_CODE = {
    "title": "The code is wrong, or was used already",
    "status": 401,
    "code": "auth.code_wrong",
    "detail": "The code is wrong, or was used already",
}
ENDED = {
    "title": "This sign-in has ended; begin again",
    "status": 401,
    "code": "auth.sign_in_expired",
    "detail": "This sign-in has ended; begin again",
}


@dataclass
class Clock:
    """The time that codes are of, in seconds; each test begins long after the one before."""

    now_s: float = 2_000_000_000.0

    def __call__(self) -> float:
        return self.now_s


CLOCK = Clock()


@dataclass
class AccountHolder:
    """Somebody with an account, and perhaps with an authenticator app."""

    service: Service
    email: str = field(default_factory=lambda: f"{uuid4().hex[:12]}@example.com")
    headers: dict[str, str] = field(default_factory=dict)
    user_id: str = ""
    totp: pyotp.TOTP | None = None
    recovery_codes: list[str] = field(default_factory=list)

    @property
    def credentials(self) -> dict[str, str]:
        return {"email": self.email, "password": PASSWORD}

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.service.client.post(path, json=body, headers=self.headers | headers)

    async def register(self) -> None:
        user = User(email=self.email, email_key=self.email, password_hash=HASH)
        await user.insert()
        self.user_id = str(user.id)
        session = await services_of(self.service.app).sessions.open(user, Client())
        self.headers = {"Authorization": f"Bearer {session.access_token}"}

    async def sign_in(self) -> None:
        granted = (await self.service.client.post(LOGIN, json=self.credentials)).json()["data"]
        self.headers = {"Authorization": f"Bearer {granted['access_token']}"}

    async def enable(self) -> None:
        factors = services_of(self.service.app).second_factors
        user = await User.get(self.user_id)
        assert user is not None
        self.totp = pyotp.TOTP((await factors.begin(user)).secret)
        self.recovery_codes = await factors.confirm(self.user_id, self.code())
        CLOCK.now_s += 60

    def code(self, steps: int = 0) -> str:
        assert self.totp is not None
        return self.totp.at(CLOCK.now_s, counter_offset=steps)

    def wrong_code(self) -> str:
        near = {self.code(steps) for steps in (-1, 0, 1)}
        return next(each for each in ("000000", "111111", "222222", "333333") if each not in near)

    async def challenge(self) -> str:
        answer = await self.service.client.post(LOGIN, json=self.credentials)
        token: str = answer.json()["data"]["second_factor"]["token"]
        return token

    async def complete(self, token: str, code: str) -> httpx.Response:
        return await self.service.client.post(SECOND_STEP, json={"token": token, "code": code})

    def stored(self) -> Any:
        return self.service.database["_second_factors"].find_one({"_id": self.user_id})

    def sessions(self) -> int:
        return self.service.database["_sessions"].count_documents({"user_id": self.user_id})

    def noted(self) -> list[str]:
        """Return what the audit log has of the second factor and of failures, in order."""
        found = self.service.database["_audit"].find({"target.id": self.user_id}).sort("_id")
        return [each["action"] for each in found if not each["action"].startswith("user.")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(mongodb_uri: str) -> AsyncIterator[Service]:
    async with served(mongodb_uri) as service:
        second_factors = SecondFactors(services_of(service.app).sealer, "Sheaf", CLOCK)
        passwords = Passwords(2, cost=CHEAP)
        with replaced(service.app, second_factors=second_factors, passwords=passwords):
            yield service
        passwords.close()


@pytest.fixture
async def ann(service: Service) -> AccountHolder:
    CLOCK.now_s += 3600
    service.database["_lockouts"].delete_many({})
    ann = AccountHolder(service)
    await ann.register()
    return ann


@pytest.fixture
async def enrolled_user(ann: AccountHolder) -> AccountHolder:
    """Provide somebody whose second factor is in force."""
    await ann.enable()
    return ann


# --- beginning


async def test_second_factor_is_in_force_once_it_is_confirmed(ann: AccountHolder) -> None:
    begun = await ann.post(PATH, {"password": PASSWORD})
    seed = begun.json()["data"]["secret"]
    assert (begun.status_code, begun.headers["cache-control"]) == (201, "no-store")
    assert begun.json() == {
        "data": {
            "secret": seed,
            "uri": f"otpauth://totp/Sheaf:{ann.email.replace('@', '%40')}?secret={seed}&issuer=Sheaf",
        }
    }
    assert len(seed) == 32
    await ann.sign_in()
    assert (await ann.service.client.get(PATH, headers=ann.headers)).json() == {"data": OFF}
    ann.totp = pyotp.TOTP(seed)
    confirmed = await ann.post(f"{PATH}/confirm", {"code": ann.code()})
    codes = confirmed.json()["data"]["recovery_codes"]
    assert (confirmed.status_code, confirmed.json()) == (200, {"data": {"recovery_codes": codes}})
    assert (len(set(codes)), {len(code) for code in codes}) == (10, {19})
    state = (await ann.service.client.get(PATH, headers=ann.headers)).json()["data"]
    assert state == {"is_enabled": True, "enabled_at": state["enabled_at"], "recovery_codes_left": 10}
    assert ann.noted() == ["second_factor.enabled"]


async def test_second_factor_begun_again_refuses_codes_of_the_earlier_seed(ann: AccountHolder) -> None:
    ann.totp = pyotp.TOTP((await ann.post(PATH, {"password": PASSWORD})).json()["data"]["secret"])
    await ann.post(PATH, {"password": PASSWORD})
    assert problem(await ann.post(f"{PATH}/confirm", {"code": ann.code()})) == WRONG_CODE
    assert ann.stored()["enabled_at"] is None


async def test_confirmation_after_an_hour_is_refused(ann: AccountHolder) -> None:
    ann.totp = pyotp.TOTP((await ann.post(PATH, {"password": PASSWORD})).json()["data"]["secret"])
    stored = ann.stored()
    assert 3590 < (stored["expires_at"] - stored["_updated_at"]).total_seconds() <= 3600
    factors = ann.service.database["_second_factors"]
    factors.update_one({"_id": ann.user_id}, {"$set": {"expires_at": stored["_updated_at"]}})
    answer = await ann.post(f"{PATH}/confirm", {"code": ann.code()})
    assert (answer.status_code, problem(answer)["code"]) == (409, "second_factor.absent")
    assert (ann.stored() or {"enabled_at": None})["enabled_at"] is None


async def test_concurrent_confirmations_answer_one_set_of_codes(ann: AccountHolder) -> None:
    ann.totp = pyotp.TOTP((await ann.post(PATH, {"password": PASSWORD})).json()["data"]["secret"])
    answers = await asyncio.gather(*(ann.post(f"{PATH}/confirm", {"code": ann.code()}) for _ in range(10)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 429}
    assert ann.noted() == ["second_factor.enabled"]


async def test_confirmation_ends_the_other_sessions(ann: AccountHolder) -> None:
    elsewhere = ann.headers
    await ann.sign_in()
    ann.totp = pyotp.TOTP((await ann.post(PATH, {"password": PASSWORD})).json()["data"]["secret"])
    await ann.post(f"{PATH}/confirm", {"code": ann.code()})
    statuses = [
        (await ann.service.client.get(PROFILE, headers=headers)).status_code
        for headers in (elsewhere, ann.headers)
    ]
    assert statuses == [401, 200]


@pytest.mark.parametrize("path", ["", "/confirm", "/recovery-codes", "/disable"])
async def test_change_of_second_factor_without_sign_in_is_401(service: Service, path: str) -> None:
    answer = await service.client.post(PATH + path, json={"password": PASSWORD, "code": "123456"})
    assert (answer.status_code, problem(answer)["code"]) == (401, "auth.required")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", {}, 400, "document.invalid"),
        ("", {"password": None}, 400, "document.invalid"),
        ("", {"password": {"$ne": ""}}, 400, "document.invalid"),
        ("", {"password": "wrong"}, 403, "password.wrong"),
        ("", {"password": PASSWORD}, 409, "second_factor.present"),
        ("/confirm", {"code": "123456"}, 409, "second_factor.present"),
        ("/confirm", {"code": {"$gt": ""}}, 400, "document.invalid"),
        *(
            (path, body, status, code)
            for path in ("/recovery-codes", "/disable")
            for body, status, code in (
                ({"code": "123456"}, 400, "document.invalid"),
                ({"password": PASSWORD}, 400, "document.invalid"),
                ({"password": PASSWORD, "code": 123456}, 400, "document.invalid"),
                ({"password": "wrong", "code": "123456"}, 403, "password.wrong"),
                ({"password": PASSWORD, "code": "12345"}, 401, "auth.code_wrong"),
                ({"password": PASSWORD, "code": "aaaa-aaaa-aaaa-aaaa"}, 401, "auth.code_wrong"),
            )
        ),
    ],
)
async def test_refused_change_of_second_factor_changes_nothing(
    enrolled_user: AccountHolder, path: str, body: Any, status: int, code: str
) -> None:
    before = enrolled_user.stored()
    answer = await enrolled_user.post(PATH + path, body)
    assert (answer.status_code, problem(answer)["code"]) == (status, code)
    assert enrolled_user.stored() == before


@pytest.mark.parametrize("path", ["/confirm", "/recovery-codes", "/disable"])
async def test_change_of_absent_second_factor_is_409(ann: AccountHolder, path: str) -> None:
    body = {"code": "123456"} if path == "/confirm" else {"password": PASSWORD, "code": "123456"}
    for _ in range(6):  # and nothing was guessed, so nothing locks
        answer = await ann.post(PATH + path, body)
        assert (answer.status_code, problem(answer)["code"]) == (409, "second_factor.absent")
    assert ann.noted() == []


# --- signing in


async def test_sign_in_with_second_factor_takes_two_steps(enrolled_user: AccountHolder) -> None:
    first = await enrolled_user.service.client.post(LOGIN, json=enrolled_user.credentials)
    token = first.json()["data"]["second_factor"]["token"]
    challenge = {"token": token, "methods": ["totp", "recovery_code"], "expires_in": 300}
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-store")
    assert first.json() == {"data": {"second_factor": challenge}}
    second = await enrolled_user.complete(token, enrolled_user.code())
    assert (second.status_code, second.headers["cache-control"]) == (200, "no-store")
    assert second.json()["data"]["user"]["id"] == enrolled_user.user_id
    headers = {"Authorization": f"Bearer {second.json()['data']['access_token']}"}
    assert (await enrolled_user.service.client.get(PROFILE, headers=headers)).status_code == 200
    assert problem(await enrolled_user.complete(token, enrolled_user.code(1))) == ENDED


async def test_challenge_token_is_no_access_token(enrolled_user: AccountHolder) -> None:
    headers = {"Authorization": f"Bearer {await enrolled_user.challenge()}"}
    answer = await enrolled_user.service.client.get(PROFILE, headers=headers)
    assert (answer.status_code, problem(answer)["code"]) == (401, "auth.token_invalid")


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
async def test_code_one_step_early_or_late_is_accepted(
    enrolled_user: AccountHolder, steps: int, status: int
) -> None:
    CLOCK.now_s += 300
    answer = await enrolled_user.complete(await enrolled_user.challenge(), enrolled_user.code(steps))
    assert answer.status_code == status


async def test_code_and_earlier_codes_are_refused_after_use(enrolled_user: AccountHolder) -> None:
    code, earlier = enrolled_user.code(), enrolled_user.code(-1)
    assert (await enrolled_user.complete(await enrolled_user.challenge(), code)).status_code == 200
    for again in (code, earlier):
        answer = await enrolled_user.complete(await enrolled_user.challenge(), again)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
        assert problem(answer) == WRONG_CODE
    assert (
        await enrolled_user.complete(await enrolled_user.challenge(), enrolled_user.code(1))
    ).status_code == 200


@pytest.mark.parametrize("kind", ["totp", "recovery_code"])
async def test_concurrent_uses_of_one_code_open_one_session(enrolled_user: AccountHolder, kind: str) -> None:
    code = enrolled_user.code() if kind == "totp" else enrolled_user.recovery_codes[0]
    tokens = [await enrolled_user.challenge() for _ in range(4)]
    answers = await asyncio.gather(*(enrolled_user.complete(tokens[each % 4], code) for each in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 429}


async def test_recovery_code_is_accepted_once_in_any_spelling(enrolled_user: AccountHolder) -> None:
    first, second = enrolled_user.recovery_codes[:2]
    assert (await enrolled_user.complete(await enrolled_user.challenge(), first)).status_code == 200
    assert problem(await enrolled_user.complete(await enrolled_user.challenge(), first)) == WRONG_CODE
    typed = second.replace("-", " ").upper()
    assert (await enrolled_user.complete(await enrolled_user.challenge(), typed)).status_code == 200
    assert len(enrolled_user.stored()["recovery_codes"]) == 8
    assert enrolled_user.noted() == [
        "second_factor.recovery_code_used",
        "sign_in.failed",
        "second_factor.recovery_code_used",
    ]


async def test_hundred_concurrent_wrong_codes_verify_five_and_lock(enrolled_user: AccountHolder) -> None:
    tokens = [await enrolled_user.challenge() for _ in range(20)]
    wrong = enrolled_user.wrong_code()
    answers = await asyncio.gather(*(enrolled_user.complete(tokens[each % 20], wrong) for each in range(100)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(401), statuses.count(429)) == (100 - statuses.count(429), 95)
    locked = await enrolled_user.complete(await enrolled_user.challenge(), enrolled_user.code())
    assert (locked.status_code, problem(locked)["code"]) == (429, "auth.locked")
    assert begun(int(locked.headers["retry-after"]), 60) == 60
    assert enrolled_user.noted().count("sign_in.failed") == 5
    assert enrolled_user.noted().count("sign_in.locked") == 1
    assert enrolled_user.noted()[-1] in {"sign_in.failed", "sign_in.locked"}


async def test_challenge_token_expires_after_five_tries(enrolled_user: AccountHolder) -> None:
    token = await enrolled_user.challenge()
    for _ in range(5):
        assert problem(await enrolled_user.complete(token, enrolled_user.wrong_code())) == WRONG_CODE
    enrolled_user.service.database["_lockouts"].delete_many({})
    assert problem(await enrolled_user.complete(token, enrolled_user.code())) == ENDED
    assert (
        await enrolled_user.complete(await enrolled_user.challenge(), enrolled_user.code())
    ).status_code == 200


@pytest.mark.parametrize(
    ("collection", "name", "change"),
    [
        ("_one_time_tokens", "user_id", {"$currentDate": {"expires_at": True}}),
        ("_users", "_id", {"$set": {"password_hash": "another"}}),
        ("_users", "_id", {"$inc": {"epoch": 1}}),
        ("_users", "_id", {"$set": {"is_disabled": True}}),
    ],
    ids=["too late", "another password", "another epoch", "disabled"],
)
async def test_second_step_of_a_changed_account_is_refused(
    enrolled_user: AccountHolder, collection: str, name: str, change: Any
) -> None:
    token = await enrolled_user.challenge()
    of_ann = {name: enrolled_user.user_id if name == "user_id" else ObjectId(enrolled_user.user_id)}
    assert enrolled_user.service.database[collection].update_many(of_ann, change).modified_count == 1
    answer = await enrolled_user.complete(token, enrolled_user.code())
    assert (answer.status_code, problem(answer)) == (401, ENDED)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": {"$regex": "."}, "code": "123456"},
        {"token": "x", "code": {"$gt": ""}},
        {"token": "x", "code": "123456", "mode": "cookie"},
        {"token": "x" * 201, "code": "123456"},
        {"token": "x", "code": "1" * 65},
    ],
)
async def test_malformed_second_step_is_refused_and_spends_nothing(
    enrolled_user: AccountHolder, body: Any
) -> None:
    token = await enrolled_user.challenge()
    answer = await enrolled_user.service.client.post(SECOND_STEP, json=body)
    assert (answer.status_code, problem(answer)["code"]) == (400, "document.invalid")
    assert (await enrolled_user.complete(token, enrolled_user.code())).status_code == 200


async def test_unknown_challenge_token_is_answered_like_a_used_one(service: Service) -> None:
    answer = await service.client.post(SECOND_STEP, json={"token": "x", "code": "123456"})
    assert (answer.status_code, problem(answer)) == (401, ENDED)


async def test_second_step_keeps_the_mode_of_the_first(enrolled_user: AccountHolder) -> None:
    origin = {"Origin": "http://sheaf.test"}
    credentials = enrolled_user.credentials | {"mode": "cookie"}
    first = await enrolled_user.service.client.post(LOGIN, json=credentials, headers=origin)
    body = {"token": first.json()["data"]["second_factor"]["token"], "code": enrolled_user.code()}
    assert first.headers.get("set-cookie") is None
    foreign = {"Origin": "https://elsewhere.test"}
    refused = await enrolled_user.service.client.post(SECOND_STEP, json=body, headers=foreign)
    assert (refused.status_code, refused.headers.get("set-cookie")) == (403, None)
    second = await enrolled_user.service.client.post(SECOND_STEP, json=body, headers=origin)
    assert (second.status_code, "access_token" in second.json()["data"]) == (200, False)
    assert "sheaf_access" in second.headers["set-cookie"]
    enrolled_user.service.client.cookies.clear()


# --- the second step is one transaction


@pytest.mark.parametrize("kind", ["totp", "recovery_code"])
async def test_code_of_a_refused_sign_in_is_not_spent_and_no_wrong_guess(
    enrolled_user: AccountHolder, kind: str
) -> None:
    code = enrolled_user.code() if kind == "totp" else enrolled_user.recovery_codes[0]
    before, app = enrolled_user.stored(), enrolled_user.service.app
    for _ in range(6):  # one more than there are wrong guesses
        token = await enrolled_user.challenge()
        with replaced(app, needs_verified_email=True):
            refused = await enrolled_user.complete(token, code)
        assert (refused.status_code, problem(refused)["code"]) == (403, "email.unverified")
    assert (enrolled_user.stored(), enrolled_user.noted(), enrolled_user.sessions()) == (before, [], 1)
    assert (await enrolled_user.complete(token, code)).status_code == 200
    assert enrolled_user.sessions() == 2


@pytest.mark.parametrize("kind", ["totp", "recovery_code"])
async def test_code_of_a_failed_sign_in_is_not_spent_and_nothing_is_noted(
    enrolled_user: AccountHolder, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = enrolled_user.code() if kind == "totp" else enrolled_user.recovery_codes[0]
    before, token, open_session = enrolled_user.stored(), await enrolled_user.challenge(), Sessions.open

    async def fail(sessions: Sessions, user: User, client: Client) -> NoReturn:
        await open_session(sessions, user, client)
        raise DatabaseUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "open", fail)
        assert (await enrolled_user.complete(token, code)).status_code == 503
    assert (enrolled_user.stored(), enrolled_user.noted(), enrolled_user.sessions()) == (before, [], 1)
    assert (await enrolled_user.complete(token, code)).status_code == 200


async def test_code_of_an_abandoned_sign_in_is_not_spent(
    enrolled_user: AccountHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, token, has_begun = enrolled_user.recovery_codes[0], await enrolled_user.challenge(), asyncio.Event()

    async def hang(*_: Any) -> NoReturn:
        has_begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "open", hang)
        abandoned = asyncio.create_task(enrolled_user.complete(token, code))
        await has_begun.wait()
        abandoned.cancel()
        await asyncio.gather(abandoned, return_exceptions=True)
    assert enrolled_user.noted() == []
    assert (await enrolled_user.complete(token, code)).status_code == 200
    assert enrolled_user.noted() == ["second_factor.recovery_code_used"]


# --- changing


async def test_account_without_password_confirms_by_code_alone(ann: AccountHolder) -> None:
    ann.service.database["_users"].update_one({"email": ann.email}, {"$set": {"password_hash": None}})
    begun = await ann.post(PATH, {})
    ann.totp = pyotp.TOTP(begun.json()["data"]["secret"])
    codes = (await ann.post(f"{PATH}/confirm", {"code": ann.code()})).json()["data"]["recovery_codes"]
    given = await ann.post(f"{PATH}/disable", {"password": PASSWORD, "code": codes[0]})
    assert (given.status_code, problem(given)["code"]) == (409, "password.absent")
    assert (await ann.post(f"{PATH}/disable", {"code": codes[0]})).status_code == 204
    assert ann.stored() is None


async def test_lock_after_wrong_confirmation_passwords_is_audited(
    enrolled_user: AccountHolder,
) -> None:
    for _ in range(6):
        last = await enrolled_user.post(
            f"{PATH}/disable", {"password": "wrong", "code": enrolled_user.code()}
        )
    assert (last.status_code, problem(last)["code"]) == (429, "auth.locked")
    assert enrolled_user.noted() == ["confirmation.failed"] * 5 + ["confirmation.locked"]


async def test_wrong_confirmations_are_audited(enrolled_user: AccountHolder) -> None:
    await enrolled_user.post(f"{PATH}/disable", {"password": "wrong", "code": enrolled_user.code()})
    for _ in range(6):
        last = await enrolled_user.post(
            f"{PATH}/disable", {"password": PASSWORD, "code": enrolled_user.wrong_code()}
        )
    assert (last.status_code, problem(last)["code"]) == (429, "auth.locked")
    assert enrolled_user.noted() == ["confirmation.failed"] * 6 + ["confirmation.locked"]
    events = list(
        enrolled_user.service.database["_audit"].find({"target.id": enrolled_user.user_id}).sort("_id")
    )
    assert [event["details"] for event in events if event["action"].startswith("confirmation.")] == [
        {"what": "password"},
        *[{"what": "second_factor"}] * 5,
        {"what": "second_factor", "wait_s": 60},
    ]


async def test_new_recovery_codes_void_the_earlier_ones(enrolled_user: AccountHolder) -> None:
    body = {"password": PASSWORD, "code": enrolled_user.code()}
    answer = await enrolled_user.post(f"{PATH}/recovery-codes", body)
    renewed = answer.json()["data"]["recovery_codes"]
    assert (answer.status_code, len(set(renewed) | set(enrolled_user.recovery_codes))) == (200, 20)
    assert (
        problem(
            await enrolled_user.complete(await enrolled_user.challenge(), enrolled_user.recovery_codes[0])
        )
        == WRONG_CODE
    )
    assert (await enrolled_user.complete(await enrolled_user.challenge(), renewed[0])).status_code == 200
    assert enrolled_user.noted()[:2] == ["second_factor.recovery_codes_renewed", "sign_in.failed"]


async def test_sign_in_takes_one_step_after_disabling(enrolled_user: AccountHolder) -> None:
    token = await enrolled_user.challenge()
    body = {"password": PASSWORD, "code": enrolled_user.recovery_codes[0]}
    answer = await enrolled_user.post(f"{PATH}/disable", body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert enrolled_user.stored() is None
    assert problem(await enrolled_user.complete(token, enrolled_user.code())) == ENDED
    await enrolled_user.sign_in()
    assert enrolled_user.noted() == ["second_factor.disabled"]


async def test_operator_removes_a_lost_second_factor(enrolled_user: AccountHolder) -> None:
    audit = AuditContext(OPERATOR, 60)
    assert [await remove_second_factor(enrolled_user.user_id, audit) for _ in range(2)] == [True, False]
    await enrolled_user.sign_in()
    assert enrolled_user.noted() == ["second_factor.removed"]


async def test_seed_and_codes_are_neither_stored_nor_shown_in_plain(enrolled_user: AccountHolder) -> None:
    assert enrolled_user.totp is not None
    secrets = [enrolled_user.totp.secret, *enrolled_user.recovery_codes]
    secrets += [code.replace("-", "") for code in enrolled_user.recovery_codes]
    await enrolled_user.complete(await enrolled_user.challenge(), enrolled_user.recovery_codes[0])
    await enrolled_user.post(f"{PATH}/disable", {"password": PASSWORD, "code": enrolled_user.wrong_code()})
    answers = [
        await enrolled_user.service.client.get(path, headers=enrolled_user.headers)
        for path in (PATH, PROFILE)
    ]
    database = enrolled_user.service.database
    stored = [list(database[name].find()) for name in database.list_collection_names()]
    seen = repr(stored) + "".join(answer.text for answer in answers)
    assert not [each for each in secrets if each in seen]
