"""Work of several operations, each of which has its effect once and is remembered by itself."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import orjson

from models.remembered_answer import RememberedAnswer
from service.documents import encoding
from service.documents.idempotency.answers import is_transient
from service.kit.errors import Failure, IdempotencyRunning
from service.storage import classes
from service.storage.database import Database

STEP_LIMIT_BYTES = 64 * 1024
"""How much of one operation's answer is remembered until all are done; a hundred fit into a document."""

StepResult: TypeAlias = dict[str, Any]
"""What an operation is answered, as JSON: `status`, and perhaps `data` or `id`, `etag`, `problem`."""

Tell: TypeAlias = Callable[[Exception], StepResult]
"""Makes a failure what its operation is answered."""

Operate: TypeAlias = Callable[[], Awaitable[StepResult]]

Step: TypeAlias = Callable[[int, Operate, Tell], Awaitable[StepResult]]
"""Runs the operation at a place, and gives what it is answered, or was when it was run before."""


async def alone(_place: int, operate: Operate, tell: Tell) -> StepResult:
    """Run an operation that nobody remembers."""
    try:
        return await operate()
    except Exception as error:  # noqa: BLE001  # a fault in one is told in its place, like a failure
        return tell(error)


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

    async def run(self, place: int, operate: Operate, tell: Tell) -> StepResult:
        """Run an operation in a transaction with the note of what it is answered; raises IdempotencyRunning.

        It does so when the claim is lost: somebody else runs the operations.
        """
        if (known := self._done.get(str(place))) is not None:
            told: StepResult = orjson.loads(known)
            return told

        async def noted() -> StepResult:
            told = await operate()
            await self._note(place, told)
            return told

        try:
            return await self._database.transaction(noted)
        except IdempotencyRunning:
            raise
        except Failure as failure:
            told = tell(failure)
            if is_transient(failure):
                self.are_settled = False
            else:
                await self._note(place, told)
            return told
        except Exception as error:  # noqa: BLE001  # as in `alone`
            self.are_settled = False
            return tell(error)

    async def _note(self, place: int, told: StepResult) -> None:
        content = encoding.dump(told)
        if len(content) > STEP_LIMIT_BYTES:
            content = encoding.dump(minimal(told))
        change = {"$set": {f"steps.{place}": content}}
        if not await classes.update(RememberedAnswer, self._condition, change):
            raise IdempotencyRunning


def minimal(told: StepResult) -> StepResult:
    """Return what is kept of a very large answer: an id for its document, a problem without `errors`.

    >>> minimal({"status": 200, "data": {"id": "1", "text": "very long"}, "etag": '"2"'})
    {'status': 200, 'id': '1', 'etag': '"2"'}
    >>> minimal({"status": 400, "problem": {"code": "document.invalid", "errors": ["very many"]}})
    {'status': 400, 'problem': {'code': 'document.invalid'}}
    """
    minimal: StepResult = {}
    for name, part in told.items():
        if name == "data":
            minimal["id"] = part["id"]
        elif name == "problem":
            minimal[name] = {member: value for member, value in part.items() if member != "errors"}
        else:
            minimal[name] = part
    return minimal
