"""Whether the service lives and can work."""

from datetime import UTC, datetime
from typing import Any

from litestar import Controller, Request
from litestar.enums import HttpMethod

from service.http.guards import IGNORES_TOKEN
from service.http.routing import route
from service.kit.errors import DatabaseUnavailable, Draining

READING = [HttpMethod.GET, HttpMethod.HEAD]


class HealthController(Controller):
    """Probes: never limited, never authenticated, one ping of the database for any number of callers."""

    path = "/api/health"
    opt = {IGNORES_TOKEN: True}

    @route("/", http_method=READING)
    async def check_health(self, request: Request[Any, Any, Any]) -> dict[str, str]:
        """Answer what `/ready` answers, for people and simple monitors."""
        return await _ready(request)

    @route("/live", http_method=READING)
    async def check_liveness(self) -> dict[str, str]:
        """Answer as long as the process can answer at all."""
        return _ok()

    @route("/ready", http_method=READING)
    async def check_readiness(self, request: Request[Any, Any, Any]) -> dict[str, str]:
        """Answer 200 when new work is welcome: not draining, definitions loaded, database reachable."""
        return await _ready(request)


async def _ready(request: Request[Any, Any, Any]) -> dict[str, str]:
    state = request.app.state
    if state.drain.is_leaving:
        raise Draining
    if not await state.registry.database.is_reachable():
        raise DatabaseUnavailable
    state.registry.all()
    return _ok()


def _ok() -> dict[str, str]:
    return {"status": "ok", "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"}
