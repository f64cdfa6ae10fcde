"""Claims on keys: of all who repeat a request, at any time and on any worker, one does it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.remembered_answer import RememberedAnswer
from service.documents.idempotency.answers import Answer, is_transient
from service.documents.idempotency.keys import KeyedRequest
from service.documents.idempotency.steps import Step, Steps
from service.kit.errors import Failure, IdempotencyMismatch, IdempotencyRunning
from service.storage import classes
from service.storage.database import Database
from service.storage.errors import DatabaseError
from service.storage.server_clock import is_past

ANSWER_TTL_S = 24 * 3600
"""How long an answer is given to repeats."""

LEASE_MARGIN_S = 1.0
"""How long a claim outlives the clock of its request; after that its worker is taken for dead."""

LONG_AGO = datetime.fromtimestamp(0, UTC)

Work = Callable[[], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer one request, which ends with its lease: `token` says whose it is."""

    slot: str
    token: str
    steps: dict[str, bytes]

    @property
    def condition(self) -> dict[str, Any]:
        """Return the filter that finds the claim while it holds."""
        return {"_id": self.slot, "token": self.token, "is_done": False}


class Claims:
    """All claims, in the collection `_idempotency`; `lease_s` is how long a request may take.

    What a request does and the note that it is done are one transaction, on condition that the claim holds.
    So there is one effect even when a worker that was taken for dead goes on: its transaction fails.
    """

    def __init__(self, database: Database, *, lease_s: float) -> None:
        self._database = database
        self._lease_ms = int((lease_s + LEASE_MARGIN_S) * 1000)
        self._releases: set[asyncio.Future[None]] = set()

    async def once(self, request: KeyedRequest, work: Work, told: Callable[[Failure], Answer]) -> Answer:
        """Do the work in a transaction and remember its answer, or give the answer that is remembered.

        `told` makes a failure an answer. Raises IdempotencyMismatch, IdempotencyRunning, and what `work`
        raises when a repeat might succeed; nothing is remembered then.
        """
        claim = await self._claim(request)
        if isinstance(claim, Answer):
            return claim

        async def remembered_work() -> Answer:
            answer = await work()
            await self._remember(claim, answer)
            return answer

        return await self._settle(claim, lambda: self._database.transaction(remembered_work), told)

    async def in_steps(
        self,
        request: KeyedRequest,
        work: Callable[[Step], Awaitable[Answer]],
        told: Callable[[Failure], Answer],
    ) -> Answer:
        """Do work whose operations are remembered each by itself: it runs them by the Step that it is given.

        A repeat goes on where the work was broken off. It does so also when an operation failed in a way that
        is_transient: then the answer is given, but not remembered. Raises what `once` raises.
        """
        claim = await self._claim(request)
        if isinstance(claim, Answer):
            return claim
        steps = Steps(self._database, claim.condition, claim.steps)

        async def all_steps() -> Answer:
            answer = await work(steps.run)
            if steps.are_settled:
                await self._remember(claim, answer)
            else:
                await self._release(claim)
            return answer

        return await self._settle(claim, all_steps, told)

    async def _settle(self, claim: Claim, work: Work, told: Callable[[Failure], Answer]) -> Answer:
        """Do the work, and remember or forget how it failed."""
        try:
            return await work()
        except Failure as failure:
            if is_transient(failure):
                await asyncio.shield(self._release(claim))
                raise
            answer = told(failure)
            await self._remember(claim, answer)  # by itself, for its transaction was aborted
            return answer
        except Exception:
            await asyncio.shield(self._release(claim))
            raise
        except BaseException:  # nobody waits any more
            self._release(claim)
            raise

    async def _claim(self, request: KeyedRequest) -> Claim | Answer:
        """Take the claim if it is free, else give the answer; in one operation of the database."""
        token = secrets.token_hex(16)
        note = await self._taken(request, token)
        if note.fingerprint != request.fingerprint:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used for another request",
                hint="Make a new key for each request, and repeat a request without any change.",
            )
        if note.is_done:
            return Answer.replayed(note)
        if note.token != token:
            raise IdempotencyRunning
        return Claim(request.slot, token, note.steps)

    async def _taken(self, request: KeyedRequest, token: str) -> RememberedAnswer:
        """Write a claim where there is none, or one whose day or lease is over; give what is there then.

        Time is the database's own, so that the workers' clocks do not matter.
        """
        lease = {"token": token, "lease_until": {"$add": ["$$NOW", self._lease_ms]}}
        new = {
            "_id": request.slot,
            "fingerprint": request.fingerprint,
            **lease,
            "expires_at": {"$add": ["$$NOW", ANSWER_TTL_S * 1000]},
            "is_done": False,
            "steps": {},
            "_version": 1,
            "_created_at": "$$NOW",
            "_updated_at": "$$NOW",
            "_owner": {"$literal": request.owner},
        }
        is_over = is_past("$expires_at")  # also where nothing is, which comes before all numbers
        is_abandoned = {
            "$and": [
                {"$eq": ["$fingerprint", request.fingerprint]},
                {"$not": "$is_done"},
                is_past("$lease_until"),
            ]
        }
        taken_over = {"$mergeObjects": ["$$ROOT", lease]}
        change = {"$cond": [is_over, new, {"$cond": [is_abandoned, taken_over, "$$ROOT"]}]}
        return await classes.compute_or_insert(RememberedAnswer, request.slot, [{"$replaceWith": change}])

    async def _remember(self, claim: Claim, answer: Answer) -> None:
        """Note the answer, in the transaction if one runs; raises IdempotencyRunning without the claim."""
        done = {**answer.remembered().stored(), "is_done": True, "steps": {}}
        change = {"$set": done, "$currentDate": {"_updated_at": True}}
        if not await classes.update(RememberedAnswer, claim.condition, change):
            raise IdempotencyRunning

    def _release(self, claim: Claim) -> "asyncio.Future[None]":
        """Begin to end the lease, unless the answer is there after all: a commit cut off may come true."""
        release: asyncio.Future[None] = asyncio.ensure_future(self._end_lease(claim))
        self._releases.add(release)
        release.add_done_callback(self._releases.discard)
        return release

    async def _end_lease(self, claim: Claim) -> None:
        with suppress(DatabaseError):  # then it ends by itself
            await classes.update(RememberedAnswer, claim.condition, {"$set": {"lease_until": LONG_AGO}})
