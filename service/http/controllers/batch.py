"""Many operations in one request."""

from functools import partial

from litestar import Controller, Response
from orjson import Fragment

from service.documents import batch, encoding
from service.documents.batch import Batch
from service.documents.idempotency.steps import Step, Told
from service.http import idempotent, preferences, problems
from service.http.guards import FOR_API_KEYS, principal
from service.http.pipeline.rate_limit import CHARGE
from service.http.requests import AnyRequest, json_of, json_response, only_parameters
from service.http.routing import post
from service.http.services import services_of


class BatchController(Controller):
    """`/api/batch`."""

    path = "/api/batch"
    opt = {FOR_API_KEYS: True}

    @post("/", status_code=200)
    @idempotent.takes_key
    async def run_batch(self, request: AnyRequest) -> Response[bytes]:
        """Run operations on documents of any collections, all or none, or each by itself."""
        only_parameters(request)
        wanted = preferences.preferred_return(request)
        found = batch.parse(await json_of(request), is_minimal=wanted == "minimal")
        if found.is_atomic:
            return await idempotent.run(request, partial(_run_atomically, request, found))
        return await idempotent.run_steps(request, partial(_run_each, request, found))


async def _run_atomically(request: AnyRequest, found: Batch) -> Response[bytes]:
    await _charge(request, found)
    services = services_of(request)
    return _answer(
        request, await batch.run_atomically(services.database, services.registry, principal(request), found)
    )


async def _run_each(request: AnyRequest, found: Batch, step: Step) -> Response[bytes]:
    await _charge(request, found)
    tell = partial(_told, request)
    return _answer(
        request, await batch.run_each(services_of(request).registry, principal(request), found, step, tell)
    )


async def _charge(request: AnyRequest, found: Batch) -> None:
    """Count each operation as a request, the first of which is this one; raises RateLimited.

    Once for each request, however often its transaction is tried.
    """
    charge = request.scope["state"].pop(CHARGE, None)
    if charge is not None and len(found.operations) > 1:
        await charge(len(found.operations) - 1)


def _answer(request: AnyRequest, answers: list[Fragment]) -> Response[bytes]:
    headers = preferences.applied(preferences.preferred_return(request))
    return json_response(encoding.dump({"data": answers}), headers=headers)


def _told(request: AnyRequest, error: Exception) -> Told:
    """Give what an operation that failed is answered: the problem of a request of its own."""
    problems.report(error, request.scope)
    failure = problems.translate(error)
    request_id = str(request.scope["state"].get("request_id", ""))
    problem = failure.problem(instance=request.scope["path"], request_id=request_id)
    return {"status": failure.status, "problem": problem}
