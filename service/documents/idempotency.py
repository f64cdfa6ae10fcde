"""`Idempotency-Key`: a request that is repeated has one effect, and its first answer each time.

Of all who repeat a request, at any time and on any worker, one claims it and does it.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Self, TypeAlias

import orjson

from models.remembered_answer import RememberedAnswer
from service.access.principals import Principal
from service.documents import encoding
from service.kit.errors import (
    CollectionChanged,
    Contention,
    Failure,
    IdempotencyMismatch,
    IdempotencyRunning,
    RequestInvalid,
)
from service.storage import classes
from service.storage.classes import is_past
from service.storage.database import Database
from service.storage.errors import DatabaseError

MAXIMUM_KEY_LENGTH = 255

MINIMUM_ANONYMOUS_KEY_LENGTH = 20
"""Callers without an account are told apart by their keys alone, which nobody may guess; a UUID has 36."""

_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # RFC 9651, 3.3.3
_BARE = re.compile(r"[!#-+\--~]*")  # visible ASCII without `"` and `,`
_ESCAPE = re.compile(r"\\(.)")
_DIGEST_BYTES = 24


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request under a key: `slot` hashes caller and key, `fingerprint` what makes the request this one."""

    slot: str
    fingerprint: str
    owner: str | None

    @classmethod
    def of(cls, principal: Principal, key: str, parts: Sequence[bytes]) -> Self:
        """Make it from who asks, the key and the request's parts; raises RequestInvalid.

        The same key of another user, or of another API key, is another key. Those who are not signed in share
        one name, so that theirs must be too long to be met by chance: their addresses are shared by whole
        offices, and change between a request and its repeat. The key, which is not stored, is also in the
        fingerprint: a body may hold a password, which nobody shall guess by a hash of the rest.
        """
        if principal.id is None and len(key) < MINIMUM_ANONYMOUS_KEY_LENGTH:
            least = MINIMUM_ANONYMOUS_KEY_LENGTH
            raise RequestInvalid(
                f"Without signing in, an Idempotency-Key has at least {least} characters",
                hint="Make a random one for each request, such as a UUID.",
            )
        caller = f"{principal.kind} {principal.id or ''}"
        if principal.key_id is not None:
            caller += f" {principal.key_id}"
        return cls(_hash(caller.encode(), key.encode()), _hash(key.encode(), *parts), principal.id)


def read_key(values: Sequence[str]) -> str | None:
    r"""Read the key of an `Idempotency-Key` header, None without one; raises RequestInvalid.

    It is a string of structured fields (draft-ietf-httpapi-idempotency-key-header-07); without the quotes,
    as most clients send it, it is the same key.

    >>> read_key(['"8e03978e"']), read_key(["8e03978e"]), read_key([])
    ('8e03978e', '8e03978e', None)
    >>> read_key([r'"a \"b\" c"'])
    'a "b" c'
    """
    if not values:
        return None
    if len(values) > 1:
        raise RequestInvalid("Send one Idempotency-Key header, not several")
    text = values[0].strip(" \t")
    if quoted := _STRING.fullmatch(text):
        key = _ESCAPE.sub(r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise RequestInvalid(
            "An Idempotency-Key is one string of visible ASCII characters, in quotes when spaces or commas "
            "are in it"
        )
    if not 0 < len(key) <= MAXIMUM_KEY_LENGTH:
        raise RequestInvalid(f"An Idempotency-Key has 1 to {MAXIMUM_KEY_LENGTH} characters")
    return key


def _hash(*parts: bytes) -> str:
    """Hash parts so that no two lists of them meet.

    >>> _hash(b"a", b"bc") == _hash(b"ab", b"c")
    False
    """
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
"""How large a body is remembered; a MongoDB document has at most 16 MB."""

KEPT_STATUSES = frozenset({400, 404, 405, 409, 412, 413, 415, 422, 428})
"""Failures that a repeat of the request would meet again.

All others are transient: the client signs in (401), is given the right (403), waits (408, 429), or we
recover (5xx). Then a repeat is done as if it were the first.
"""

TRANSIENT_CONFLICTS = (CollectionChanged, Contention, IdempotencyRunning)
"""Failures that are transient in spite of their status."""

OK, NO_CONTENT = 200, 204


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered; `headers` are those that its handler set."""

    status: int
    media_type: str
    headers: dict[str, str]
    body: bytes
    is_replayed: bool = False

    def remembered(self) -> "Answer":
        """Return the answer as repeats get it: a very large one without its body, as `return=minimal` has it.

        >>> Answer(200, "application/json", {"ETag": '"2"'}, b"x" * (ANSWER_LIMIT_BYTES + 1)).remembered()
        ... # doctest: +NORMALIZE_WHITESPACE
        Answer(status=204, media_type='application/json',
               headers={'ETag': '"2"', 'Preference-Applied': 'return=minimal'}, body=b'', is_replayed=False)
        """
        if len(self.body) <= ANSWER_LIMIT_BYTES:
            return self
        status = NO_CONTENT if self.status == OK else self.status
        headers = {**self.headers, "Preference-Applied": "return=minimal"}  # RFC 7240, 4.2
        return replace(self, status=status, headers=headers, body=b"")

    def stored(self) -> dict[str, Any]:
        """Return the fields in which it is stored."""
        return {
            "status": self.status,
            "media_type": self.media_type,
            "headers": self.headers,
            "body": self.body,
        }

    @classmethod
    def replayed(cls, stored: RememberedAnswer) -> Self:
        """Read what `stored` gave."""
        members = stored.model_dump(include={"status", "media_type", "headers", "body"})
        return cls(**members, is_replayed=True)


def is_transient(failure: Failure) -> bool:
    """Return whether a repeat of the same request can succeed.

    >>> is_transient(Contention())
    True
    """
    return failure.status not in KEPT_STATUSES or isinstance(failure, TRANSIENT_CONFLICTS)


STEP_LIMIT_BYTES = 64 * 1024
"""How much of one operation's answer is remembered until all are done; a hundred fit into a document."""

StepResult: TypeAlias = dict[str, Any]
"""What an operation is answered, as JSON: `status`, and perhaps `data` or `id`, `etag`, `problem`."""

FailureResult: TypeAlias = Callable[[Exception], StepResult]
"""Makes a failure what its operation is answered."""

Operate: TypeAlias = Callable[[], Awaitable[StepResult]]

Step: TypeAlias = Callable[[int, Operate, FailureResult], Awaitable[StepResult]]
"""Runs the operation at a place, and gives what it is answered, or was when it was run before."""


async def alone(_place: int, operate: Operate, failure_result: FailureResult) -> StepResult:
    """Run an operation that nobody remembers."""
    try:
        return await operate()
    except Exception as error:  # noqa: BLE001  # a fault in one is told in its place, like a failure
        return failure_result(error)


class Steps:
    """The operations of one request under a key, on condition that its claim holds.

    Those that `done` has are not run again. `are_settled` tells whether all that ran are remembered: a
    failure that is_transient is not, so that a repeat of the request runs that operation again.
    """

    def __init__(self, database: Database, condition: dict[str, Any], done: dict[str, bytes]) -> None:
        self._database = database
        self._condition = condition
        self._done = done
        self.are_settled = True

    async def run(self, place: int, operate: Operate, failure_result: FailureResult) -> StepResult:
        """Run an operation in a transaction with the note of what it is answered; raises IdempotencyRunning.

        It does so when the claim is lost: somebody else runs the operations.
        """
        if (known := self._done.get(str(place))) is not None:
            result: StepResult = orjson.loads(known)
            return result

        async def noted() -> StepResult:
            result = await operate()
            await self._note(place, result)
            return result

        try:
            return await self._database.transaction(noted)
        except IdempotencyRunning:
            raise
        except Failure as failure:
            result = failure_result(failure)
            if is_transient(failure):
                self.are_settled = False
            else:
                await self._note(place, result)
            return result
        except Exception as error:  # noqa: BLE001  # as in `alone`
            self.are_settled = False
            return failure_result(error)

    async def _note(self, place: int, result: StepResult) -> None:
        content = encoding.dump(result)
        if len(content) > STEP_LIMIT_BYTES:
            content = encoding.dump(minimal(result))
        change = {"$set": {f"steps.{place}": content}}
        if not await classes.update(RememberedAnswer, self._condition, change):
            raise IdempotencyRunning


def minimal(result: StepResult) -> StepResult:
    """Return what is kept of a very large answer: an id for its document, a problem without `errors`.

    >>> minimal({"status": 200, "data": {"id": "1", "text": "very long"}, "etag": '"2"'})
    {'status': 200, 'id': '1', 'etag': '"2"'}
    >>> minimal({"status": 400, "problem": {"code": "document.invalid", "errors": ["very many"]}})
    {'status': 400, 'problem': {'code': 'document.invalid'}}
    """
    minimal: StepResult = {}
    for name, part in result.items():
        if name == "data":
            minimal["id"] = part["id"]
        elif name == "problem":
            minimal[name] = {member: value for member, value in part.items() if member != "errors"}
        else:
            minimal[name] = part
    return minimal


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

    async def once(
        self, request: KeyedRequest, work: Work, failure_answer: Callable[[Failure], Answer]
    ) -> Answer:
        """Do the work in a transaction and remember its answer, or give the answer that is remembered.

        `failure_answer` makes a failure an answer. Raises IdempotencyMismatch, IdempotencyRunning, and what
        `work` raises when a repeat might succeed; nothing is remembered then.
        """
        claim = await self._claim(request)
        if isinstance(claim, Answer):
            return claim

        async def remembered_work() -> Answer:
            answer = await work()
            await self._remember(claim, answer)
            return answer

        return await self._settle(claim, lambda: self._database.transaction(remembered_work), failure_answer)

    async def in_steps(
        self,
        request: KeyedRequest,
        work: Callable[[Step], Awaitable[Answer]],
        failure_answer: Callable[[Failure], Answer],
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

        return await self._settle(claim, all_steps, failure_answer)

    async def _settle(self, claim: Claim, work: Work, failure_answer: Callable[[Failure], Answer]) -> Answer:
        """Do the work, and remember or forget how it failed."""
        try:
            return await work()
        except Failure as failure:
            if is_transient(failure):
                await asyncio.shield(self._release(claim))
                raise
            answer = failure_answer(failure)
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
