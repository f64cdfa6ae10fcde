"""Limiting how many requests a client may make, and telling it so in each response's headers."""

import math
from functools import partial

from limits import parse
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.utils import normalize_path

from service.errors import RateLimited
from service.middleware.client_address import UNKNOWN, limited_address
from service.rates import Limiter, SharedCounts, Verdict

AUTH_PREFIX = "/api/auth/"
KEPT_ALIVE = frozenset({"/api/auth/refresh", "/api/auth/logout"})
"""Where nothing can be guessed: their tokens are random. Many users behind one address share their limit."""

HEALTH_PATH = "/api/health"
HEALTH_PREFIX = "/api/health/"

CHARGE = "charge"
"""The name in a request's state of the function that counts the request as so many more."""


class RateLimit(ASGIMiddleware):
    """Count requests per signed-in user, else per client address, and POSTs to `/api/auth/…` per address too.

    Refreshing and signing out have one limit of their own, per address, for as many as one may hide.

    Rates are written as in the `limits` library, such as `100/15minutes`. Raises RateLimited with
    `Retry-After`. Every response tells `RateLimit` and `RateLimit-Policy`
    (draft-ietf-httpapi-ratelimit-headers-09). Health checks are not counted: their answers are cached.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(
        self, counts: SharedCounts, *, anonymous: str, user: str, auth: str, refresh: str, workers: int = 1
    ) -> None:
        self._anonymous = _Tier("anonymous", anonymous, counts, workers)
        self._user = _Tier("user", user, counts, workers)
        self._auth = _Tier("auth", auth, counts, workers)
        self._refresh = _Tier("refresh", refresh, counts, workers)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Count, refuse or pass on, and mark the response."""
        path = normalize_path(scope["path"])  # as the router does: `//api/auth//login` is `/api/auth/login`
        if path == HEALTH_PATH or path.startswith(HEALTH_PREFIX):
            await next_app(scope, receive, send)
            return
        headers = await self._count(scope, path)
        scope["state"][CHARGE] = partial(self._charge, scope, headers)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await next_app(scope, receive, send_marked)

    async def _count(self, scope: Scope, path: str) -> list[tuple[bytes, bytes]]:
        """Count the request in its tiers and give the headers that tell of it; raises RateLimited."""
        address = _address(scope)
        is_kept_alive = path in KEPT_ALIVE
        tier, key = (self._refresh, address) if is_kept_alive else self._tier(scope, address)
        found = [(tier, await tier.spend(key))]
        is_guess = scope.get("method") == "POST" and path.startswith(AUTH_PREFIX) and not is_kept_alive
        if is_guess and found[0][1].is_admitted:
            found.insert(0, (self._auth, await self._auth.spend(address)))
        limits = ", ".join(tier.shown(verdict) for tier, verdict in found)
        policies = ", ".join(tier.policy for tier, _ in found)
        for tier, verdict in found:
            if not verdict.is_admitted:
                raise _refusal(tier, verdict, limits, policies)
        return [(b"ratelimit", limits.encode()), (b"ratelimit-policy", policies.encode())]

    async def _charge(self, scope: Scope, headers: list[tuple[bytes, bytes]], amount: int) -> None:
        """Count a request that has come in as `amount` more, all or none; raises RateLimited."""
        tier, key = self._tier(scope, _address(scope))
        verdict = await tier.spend(key, amount)
        headers[0] = (b"ratelimit", tier.shown(verdict).encode())
        if not verdict.is_admitted:
            wait_s = _wait_s(verdict)
            raise RateLimited(
                f"This counts as {_counted(amount + 1, 'request')}, and {verdict.remaining + 1} were left of "
                f"your {tier.sentence}; try again in {_span(wait_s)}.",
                hint="Send fewer operations at once.",
                headers={"Retry-After": str(wait_s)},
            )

    def _tier(self, scope: Scope, address: str) -> "tuple[_Tier, str]":
        """Give what limits this caller, and the key that the caller has there."""
        user_id = getattr(scope["state"].get("principal"), "id", None)
        return (self._anonymous, address) if user_id is None else (self._user, str(user_id))


class _Tier:
    """A named limit and the way it is told to clients."""

    def __init__(self, name: str, rate: str, counts: SharedCounts, workers: int) -> None:
        parsed = parse(rate)
        parsed.namespace = name
        self._name = name
        self._limiter = Limiter(parsed, counts, workers=workers)
        self.policy = f'"{name}";q={self._limiter.limit};w={self._limiter.window_s}'
        self.sentence = (
            f"{self._limiter.limit} requests per {_span(self._limiter.window_s).removeprefix('1 ')}"
        )

    async def spend(self, key: str, amount: int = 1) -> Verdict:
        return self._limiter.spend_leased(key, amount) or await self._limiter.spend(key, amount)

    def shown(self, verdict: Verdict) -> str:
        return f'"{self._name}";r={verdict.remaining};t={math.ceil(verdict.reset_in_s)}'


def _refusal(tier: _Tier, verdict: Verdict, limits: str, policies: str) -> RateLimited:
    wait_s = _wait_s(verdict)
    return RateLimited(
        f"You have used up your {tier.sentence}; try again in {_span(wait_s)}.",
        headers={"Retry-After": str(wait_s), "RateLimit": limits, "RateLimit-Policy": policies},
    )


def _wait_s(verdict: Verdict) -> int:
    return max(1, math.ceil(verdict.reset_in_s))


def _address(scope: Scope) -> str:
    client = scope.get("client")
    address = scope.setdefault("state", {}).get("client_address")
    return limited_address(address or (client[0] if client else UNKNOWN))


def _span(seconds: int) -> str:
    """Say a length of time in the largest unit that fits it exactly.

    >>> _span(900), _span(60), _span(61), _span(3600)
    ('15 minutes', '1 minute', '61 seconds', '1 hour')
    """
    for unit, length_s in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length_s and seconds % length_s == 0:
            return _counted(seconds // length_s, unit)
    return _counted(seconds, "second")


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
