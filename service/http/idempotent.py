"""`Idempotency-Key` for handlers: once and no more, whoever repeats the request."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial, wraps
from typing import Any, TypeVar, cast

from litestar import Response

from service.documents import idempotency
from service.documents.idempotency import Answer, KeyedRequest, Step, alone
from service.http import problems
from service.http.guards import TAKES_KEY, principal
from service.http.pipeline.headers import text_of
from service.http.requests import JSON, AnyRequest, body_of
from service.http.responses import Ready
from service.http.services import services_of
from service.kit.errors import PROBLEM_MEDIA_TYPE, Failure

DISTINGUISHING = ("content-type", "if-match", "if-none-match")
"""The headers that make a request with the same body another one; those that only shape the answer do not."""

REPLAYED = {"Idempotency-Replayed": "true"}

Handler = TypeVar("Handler", bound=Callable[..., Coroutine[Any, Any, Response[bytes]]])


def once(handler: Handler) -> Handler:
    """Have a request with an `Idempotency-Key` done once, in a transaction, and its answer replayed.

    Below the route's decorator; guards run before it, at each repeat. A request without the header is as
    without this decorator. The handler gives a Response with a body of bytes and may run several times.
    """

    @wraps(handler)
    async def answer(self: Any, request: AnyRequest, **parameters: Any) -> Response[bytes]:
        if not _has_key(request):
            return await handler(self, request, **parameters)
        return await run(request, partial(handler, self, request, **parameters))

    return takes_key(cast("Handler", answer))


def takes_key(handler: Handler) -> Handler:
    """Let a handler have requests with a key: one that runs by `run` or `run_steps`, or changes nothing."""
    setattr(handler, TAKES_KEY, True)
    return handler


async def run(request: AnyRequest, work: Callable[[], Awaitable[Response[bytes]]]) -> Response[bytes]:
    """Answer a request once, by work in a transaction; without a key, just by the work."""
    keyed = await _keyed(request)
    if keyed is None:
        return await work()

    async def answer() -> Answer:
        return _answer(request, await work())

    services = services_of(request)
    answered = await services.claims.once(keyed, answer, partial(_failure_answer, request))
    await services.revocations.catch_up()  # the work could not yet, in its transaction
    return _response(answered)


async def run_steps(
    request: AnyRequest, work: Callable[[Step], Awaitable[Response[bytes]]]
) -> Response[bytes]:
    """Answer a request once, by work that runs its operations by the Step that it is given.

    Each is a transaction of its own, so that those that are done stay done. Without a key none is remembered.
    """
    keyed = await _keyed(request)
    if keyed is None:
        return await work(alone)

    async def answer(step: Step) -> Answer:
        return _answer(request, await work(step))

    claims = services_of(request).claims
    return _response(await claims.in_steps(keyed, answer, partial(_failure_answer, request)))


def _has_key(request: AnyRequest) -> bool:
    return text_of(request.scope, b"idempotency-key") is not None


async def _keyed(request: AnyRequest) -> KeyedRequest | None:
    """Return the request as its repeats are known by, None when it has no key; raises RequestInvalid."""
    if not _has_key(request):
        return None
    key = idempotency.read_key(request.headers.getall("idempotency-key", []))
    if key is None:
        return None
    parts = (
        request.scope["method"].encode(),
        request.scope["path"].encode("utf-8", "surrogateescape"),
        request.scope["query_string"],
        *(", ".join(request.headers.getall(name, [])).encode("latin-1") for name in DISTINGUISHING),
        await body_of(request),
    )
    return KeyedRequest.of(principal(request), key, parts)


def _answer(request: AnyRequest, response: Response[bytes]) -> Answer:
    status = response.status_code or request.route_handler.status_code
    media_type = str(response.media_type or JSON)
    return Answer(status, media_type, {**response.headers}, response.content)


def _failure_answer(request: AnyRequest, failure: Failure) -> Answer:
    status, headers, body = problems.answer(failure, request.scope)
    own = {name.decode(): value.decode("latin-1") for name, value in headers}
    del own["content-length"], own["content-type"]
    return Answer(status, PROBLEM_MEDIA_TYPE, own, body)


def _response(answer: Answer) -> Response[bytes]:
    headers = {**answer.headers, **(REPLAYED if answer.is_replayed else {})}
    return Ready(answer.body, status_code=answer.status, headers=headers, media_type=answer.media_type)
