"""Whether the service lives and can work."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import Controller, Request
from pydantic import Field

from service.http.bodies import ResponseBody
from service.http.contract.operations import Answer, Operation
from service.http.guards import IGNORES_TOKEN
from service.http.routing import get
from service.http.services import services_of
from service.kit.errors import DatabaseUnavailable, Draining


class Health(ResponseBody):
    """The service can work."""

    status: Literal["ok"]
    timestamp: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


def _probe(name: str, summary: str) -> Operation:
    example = {"status": "ok", "timestamp": "2026-11-22T12:00:00.000Z"}
    return Operation(
        id=name,
        tag="Health",
        summary=summary,
        answers=(Answer(200, "All is well.", Health, example=example),),
        access="anyone",
        is_limited=False,
    )


class HealthController(Controller):
    """Probes: never limited, never authenticated, one ping of the database for any number of callers."""

    path = "/api/health"
    opt = {IGNORES_TOKEN: True}

    @get("/", operation=_probe("checkHealth", "Can the service work?"))
    async def check_health(self, request: Request[Any, Any, Any]) -> dict[str, str]:
        """Answer what `/ready` answers, for people and simple monitors."""
        return await _ready(request)

    @get("/live", operation=_probe("checkLiveness", "Does the process live?"))
    async def check_liveness(self) -> dict[str, str]:
        """Answer as long as the process can answer at all."""
        return _ok()

    @get("/ready", operation=_probe("checkReadiness", "Is new work welcome?"))
    async def check_readiness(self, request: Request[Any, Any, Any]) -> dict[str, str]:
        """Answer 200 when new work is welcome: not draining, definitions loaded, database reachable."""
        return await _ready(request)


async def _ready(request: Request[Any, Any, Any]) -> dict[str, str]:
    services = services_of(request)
    if services.drain.is_leaving:
        raise Draining
    if not await services.registry.database.is_reachable():
        raise DatabaseUnavailable
    services.registry.all()
    return _ok()


def _ok() -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    return Health(status="ok", timestamp=now).members()
