"""No client waits longer for the database than was promised, however many others wait too."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from service.errors import DatabaseUnavailable
from service.registry import Collection

Rest = ParamSpec("Rest")
Answer = TypeVar("Answer")
Operation = Callable[Concatenate[Collection, Rest], Coroutine[Any, Any, Answer]]


def bounded(operation: Operation[Rest, Answer]) -> Operation[Rest, Answer]:
    """Have an operation on a collection raise DatabaseUnavailable at the collection's deadline.

    The driver's own timeout bounds one call once it runs; this one also bounds the wait for a thread to run
    it, and all calls of one operation together. What a write that was cut off has done is not known then.
    """

    @wraps(operation)
    async def run(collection: Collection, /, *rest: Rest.args, **named: Rest.kwargs) -> Answer:
        try:
            async with asyncio.timeout(collection.deadline_s):
                return await operation(collection, *rest, **named)
        except TimeoutError:
            raise DatabaseUnavailable from None

    return run
