"""Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost.

A code is accepted once (RFC 6238, 5.2), one step of 30 seconds early or late. Seeds are sealed, for they must
be read; recovery codes have 80 bits and are stored as hashes. How often codes are guessed is for
`service/identity/core/lockout.py` to count.
"""

import re
import secrets
import time
from base64 import b32encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pyotp
import structlog
from beanie.exceptions import CollectionWasNotInitialized
from pyotp.exceptions import OTPVerificationError

from models.base import utc_now
from models.second_factor import SecondFactor
from models.user import User
from service.kit.errors import CodeWrong, SecondFactorAbsent, SecondFactorPresent
from service.kit.sealing import Sealer, digest
from service.kit.tasks import Attempts, Backoff, background
from service.storage.errors import DatabaseError, DuplicateKey
from service.storage.transactions import session

PURPOSE = "second factor"

ENROLMENT_TTL = timedelta(hours=1)
"""How long a factor that was begun waits to be confirmed."""

WINDOW_STEPS = 1
"""How many steps a code may be early or late: clocks differ, and people type slowly (RFC 6238, 5.2)."""

RECOVERY_CODES = 10
RECOVERY_BYTES = 10
RECOVERY_GROUP = 4

TOTP_CODE = re.compile(r"[0-9]{6}")
RECOVERY_CODE = re.compile(r"[a-z2-7]{16}")
FILLERS = re.compile(r"[\s-]+")

RESEALED_AT_ONCE = 100
RETRY = Backoff(5.0, 5.0)

Method = Literal["totp", "recovery_code"]

log = structlog.get_logger("sheaf.second_factor")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app needs: the seed in base32, and the same as a URI for a QR code."""

    secret: str
    uri: str


class SecondFactors:
    """The second factors of all accounts; `issuer` is the name that authenticator apps show."""

    def __init__(self, sealer: Sealer, issuer: str, clock: Callable[[], float] = time.time) -> None:
        self._sealer = sealer
        self._issuer = issuer
        self._clock = clock
        self._sealed_with = sealer.code(PURPOSE, b"name").hex()[:16]

    async def begin(self, user: User) -> Enrolment:
        """Make a seed for an account, not in force before it is confirmed; raises SecondFactorPresent.

        One that was begun before and not confirmed is replaced. Joins the present transaction.
        """
        seed = pyotp.random_base32()
        now = utc_now()
        change: dict[str, Any] = {
            "seed": self._sealer.seal(PURPOSE, seed.encode()),
            "sealed_with": self._sealed_with,
            "enabled_at": None,
            "last_step": 0,
            "recovery_codes": [],
            "expires_at": now + ENROLMENT_TTL,
            "_version": 1,
            "_created_at": now,
            "_updated_at": now,
        }
        begun = {"_id": str(user.id), "enabled_at": None}
        try:
            await SecondFactor.find_one(begun, session=session()).update({"$set": change}, upsert=True)
        except DuplicateKey:  # there is one in force, which the filter does not find
            raise SecondFactorPresent from None
        return Enrolment(seed, pyotp.TOTP(seed).provisioning_uri(name=user.email, issuer_name=self._issuer))

    async def confirm(self, user_id: str, code: str) -> list[str]:
        """Put what was begun in force, and give the recovery codes, known only now; joins the transaction.

        Raises CodeWrong, SecondFactorPresent, SecondFactorAbsent when nothing was begun within the last hour.
        """
        factor = await SecondFactor.find_one({"_id": user_id}, session=session())
        if factor is not None and factor.enabled_at is not None:
            raise SecondFactorPresent
        if factor is None or factor.expires_at is None or factor.expires_at <= utc_now():
            raise SecondFactorAbsent("No second factor was begun within the last hour; begin one")
        step = self._step(factor, FILLERS.sub("", code))
        if step is None:
            raise CodeWrong
        codes = _recovery_codes()
        change = {
            "enabled_at": utc_now(),
            "last_step": step,
            "recovery_codes": _hashes(codes),
            "expires_at": None,
            "_updated_at": utc_now(),
        }
        begun = {"_id": user_id, "enabled_at": None, "seed": factor.seed}
        confirmed = await SecondFactor.find_one(begun, session=session()).update({"$set": change})
        if not confirmed.matched_count:
            raise SecondFactorPresent
        return codes

    async def use(self, user_id: str, code: str) -> Method:
        """Use a code up, whether of the app or for recovery; joins the present transaction.

        Of any number at once with one code, one succeeds. Raises CodeWrong, SecondFactorAbsent.
        """
        factor = await _in_force(user_id)
        if factor is None:
            raise SecondFactorAbsent
        bare = FILLERS.sub("", code).lower()
        if RECOVERY_CODE.fullmatch(bare):
            await _spend(user_id, bare)
            return "recovery_code"
        step = self._step(factor, bare)
        if step is None:
            raise CodeWrong
        unused = {"_id": user_id, "enabled_at": factor.enabled_at, "last_step": {"$lt": step}}
        change = {"$set": {"last_step": step, "_updated_at": utc_now()}}
        if not (await SecondFactor.find_one(unused, session=session()).update(change)).matched_count:
            raise CodeWrong
        return "totp"

    async def reseal(self) -> int:
        """Seal anew what was sealed under an earlier secret, to be dropped then; returns the number."""
        number, unreadable, last = 0, 0, ""
        while True:
            outdated = {"_id": {"$gt": last}, "sealed_with": {"$ne": self._sealed_with}}
            found = await SecondFactor.find(outdated).sort("+_id").limit(RESEALED_AT_ONCE).to_list()
            for factor in found:
                seed = self._sealer.unseal(PURPOSE, factor.seed)
                unreadable += seed is None
                if seed is not None:
                    change = {
                        "seed": self._sealer.seal(PURPOSE, seed),
                        "sealed_with": self._sealed_with,
                    }
                    present = SecondFactor.find_one({"_id": factor.id, "seed": factor.seed})
                    number += (await present.update({"$set": change})).modified_count
            if len(found) < RESEALED_AT_ONCE:
                break
            last = found[-1].id
        if number or unreadable:
            log.info("second_factors.resealed", number=number, unreadable=unreadable)
        return number

    @asynccontextmanager
    async def resealing(self) -> AsyncIterator[None]:
        """Reseal once, in the background, as soon as the database is there."""
        async with background(self._reseal_in_time(), "second factors"):
            yield

    async def _reseal_in_time(self) -> None:
        async for _ in Attempts(RETRY):
            try:
                await self.reseal()
            except (DatabaseError, CollectionWasNotInitialized) as error:
                log.warning("second_factors.retrying", reason=type(error).__name__)
            else:
                return

    def _step(self, factor: SecondFactor, code: str) -> int | None:
        """Return the time step that a code belongs to; None when it is not of this time, or no such code."""
        if not TOTP_CODE.fullmatch(code):
            return None
        seed = self._sealer.unseal(PURPOSE, factor.seed)
        if seed is None:
            log.error("second_factor.unreadable", user_id=factor.id)
            return None
        totp = pyotp.TOTP(seed.decode())
        try:
            return totp.verify_and_get_timecode(code, for_time=self._clock(), valid_window=WINDOW_STEPS)
        except OTPVerificationError:
            return None


async def view(user_id: str) -> dict[str, Any]:
    """Return what an account's owner sees of it: never the seed, nor a code."""
    factor = await _in_force(user_id)
    return {
        "is_enabled": factor is not None,
        "enabled_at": None if factor is None else factor.enabled_at,
        "recovery_codes_left": 0 if factor is None else len(factor.recovery_codes),
    }


async def renew_recovery_codes(user_id: str) -> list[str]:
    """Make recovery codes in place of all earlier ones; raises SecondFactorAbsent. Joins the transaction."""
    codes = _recovery_codes()
    change = {"$set": {"recovery_codes": _hashes(codes), "_updated_at": utc_now()}}
    in_force = {"_id": user_id, "enabled_at": {"$ne": None}}
    if not (await SecondFactor.find_one(in_force, session=session()).update(change)).matched_count:
        raise SecondFactorAbsent
    return codes


async def _in_force(user_id: str) -> SecondFactor | None:
    return await SecondFactor.find_one({"_id": user_id, "enabled_at": {"$ne": None}}, session=session())


async def _spend(user_id: str, code: str) -> None:
    """Use a recovery code up in one atomic operation; raises CodeWrong."""
    hashed = digest(code)
    present = {"_id": user_id, "enabled_at": {"$ne": None}, "recovery_codes": hashed}
    change = {"$pull": {"recovery_codes": hashed}, "$set": {"_updated_at": utc_now()}}
    if not (await SecondFactor.find_one(present, session=session()).update(change)).matched_count:
        raise CodeWrong


def _recovery_codes() -> list[str]:
    """Make codes of 80 bits each, in base32 (RFC 4648), in groups that can be copied by hand."""
    texts = [b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    starts = range(0, len(texts[0]), RECOVERY_GROUP)
    return ["-".join(text[start : start + RECOVERY_GROUP] for start in starts) for text in texts]


def _hashes(codes: Sequence[str]) -> list[str]:
    return [digest(FILLERS.sub("", code)) for code in codes]
