"""Rate limits: how many requests a client may make, with headers in each response that say so."""

import math
from collections.abc import Awaitable
from functools import partial

from limits import parse
from litestar.types import HTTPResponseStartEvent

from service.http.pipeline.client_address import UNKNOWN, limited_address
from service.http.pipeline.step import Exchange, Step
from service.kit.errors import RateLimited
from service.storage.rate_limits import Limiter, SharedCounts, Verdict

AUTH_PREFIX = "/api/auth/"
KEPT_ALIVE = frozenset({"/api/auth/refresh", "/api/auth/logout"})
"""Where nothing can be guessed: their tokens are random. Many users behind one address share their limit."""

HEALTH_PATH = "/api/health"
HEALTH_PREFIX = "/api/health/"

CHARGE = "charge"
"""The name in a request's state of the function that counts the request as so many more."""


class RateLimit(Step):
    """Count requests per signed-in user, else per client address, and POSTs to `/api/auth/…` per address too.

    Refreshing and signing out have one limit of their own, per address, for as many as one may hide.

    Rates are written as in the `limits` library, such as `100/15minutes`. Raises RateLimited with
    `Retry-After`. Every response has `RateLimit` and `RateLimit-Policy`
    (draft-ietf-httpapi-ratelimit-headers-09). Health checks are not counted: their answers are cached.
    """

    kinds = ("http", "websocket")

    def __init__(
        self, counts: SharedCounts, *, anonymous: str, user: str, auth: str, refresh: str, workers: int = 1
    ) -> None:
        self._anonymous = _Tier("anonymous", anonymous, counts, workers)
        self._user = _Tier("user", user, counts, workers)
        self._auth = _Tier("auth", auth, counts, workers)
        self._refresh = _Tier("refresh", refresh, counts, workers)

    @property
    def limiters(self) -> list[tuple[str, Limiter]]:
        """The limits by their names."""
        tiers = (self._anonymous, self._user, self._auth, self._refresh)
        return [(tier.name, tier.limiter) for tier in tiers]

    def enter(self, exchange: Exchange) -> Awaitable[None] | None:
        """Count the request, or refuse it."""
        path = exchange.normal_path
        if path.startswith(HEALTH_PATH) and (path == HEALTH_PATH or path.startswith(HEALTH_PREFIX)):
            return None
        address = _address(exchange)
        if path.startswith(AUTH_PREFIX):
            return self._count_auth(exchange, address, path)
        tier, key = self._tier(exchange, address)
        verdict = tier.spend_leased(key)
        if verdict is None:
            return self._count(exchange, tier, key)
        if not verdict.is_admitted:
            raise _refusal(tier, verdict, tier.shown(verdict), tier.policy)
        self._tell(exchange, tier.shown(verdict).encode(), tier.encoded_policy)
        return None

    def complete(self, exchange: Exchange, head: HTTPResponseStartEvent) -> None:
        """Add the headers that say what is left."""
        if exchange.limits is not None:
            head["headers"].extend(exchange.limits)  # type: ignore[attr-defined]  # the exchange has made it a list

    def leave(self, exchange: Exchange) -> None:
        """Let go of the exchange: it and its state would hold each other until garbage is collected."""
        exchange.state.pop(CHARGE, None)

    async def _count(self, exchange: Exchange, tier: "_Tier", key: str) -> None:
        self._note(exchange, [(tier, await tier.spend(key))])

    async def _count_auth(self, exchange: Exchange, address: str, path: str) -> None:
        """Count a request in whose body there may be a guess."""
        is_kept_alive = path in KEPT_ALIVE
        tier, key = (self._refresh, address) if is_kept_alive else self._tier(exchange, address)
        found = [(tier, await tier.spend(key))]
        is_guess = exchange.method == "POST" and not is_kept_alive
        if is_guess and found[0][1].is_admitted:
            found.insert(0, (self._auth, await self._auth.spend(address)))
        self._note(exchange, found)

    def _note(self, exchange: Exchange, found: "list[tuple[_Tier, Verdict]]") -> None:
        """Keep the headers of the tiers in which a request was counted; raises RateLimited."""
        for tier, verdict in found:
            if not verdict.is_admitted:
                raise _refusal(tier, verdict, *_headers(found))
        limits, policies = _headers(found)
        self._tell(exchange, limits.encode(), policies.encode())

    def _tell(self, exchange: Exchange, limits: bytes, policies: bytes) -> None:
        exchange.limits = [(b"ratelimit", limits), (b"ratelimit-policy", policies)]
        exchange.state[CHARGE] = partial(self._charge, exchange)

    async def _charge(self, exchange: Exchange, amount: int) -> None:
        """Count a request that has come in as `amount` more, all or none; raises RateLimited."""
        tier, key = self._tier(exchange, _address(exchange))
        verdict = await tier.spend(key, amount)
        if exchange.limits is not None:
            exchange.limits[0] = (b"ratelimit", tier.shown(verdict).encode())
        if not verdict.is_admitted:
            wait_s = _wait_s(verdict)
            raise RateLimited(
                f"This counts as {_counted(amount + 1, 'request')}, and {verdict.remaining + 1} were left of "
                f"your {tier.sentence}; try again in {_span(wait_s)}.",
                hint="Send fewer operations at once.",
                headers={"Retry-After": str(wait_s)},
            )

    def _tier(self, exchange: Exchange, address: str) -> "tuple[_Tier, str]":
        """Return the tier that limits this caller, and the caller's key there."""
        user_id = getattr(exchange.state.get("principal"), "id", None)
        return (self._anonymous, address) if user_id is None else (self._user, str(user_id))


class _Tier:
    """A named limit, and how headers and messages show it to clients."""

    def __init__(self, name: str, rate: str, counts: SharedCounts, workers: int) -> None:
        parsed = parse(rate)
        parsed.namespace = name
        self.name = name
        self.limiter = Limiter(parsed, counts, workers=workers)
        self.policy = f'"{name}";q={self.limiter.limit};w={self.limiter.window_s}'
        self.encoded_policy = self.policy.encode()
        self.sentence = f"{self.limiter.limit} requests per {_span(self.limiter.window_s).removeprefix('1 ')}"

    async def spend(self, key: str, amount: int = 1) -> Verdict:
        return await self.limiter.spend(key, amount)

    def spend_leased(self, key: str) -> Verdict | None:
        return self.limiter.spend_leased(key)

    def shown(self, verdict: Verdict) -> str:
        return f'"{self.name}";r={verdict.remaining};t={math.ceil(verdict.reset_in_s)}'


def _refusal(tier: _Tier, verdict: Verdict, limits: str, policies: str) -> RateLimited:
    wait_s = _wait_s(verdict)
    return RateLimited(
        f"You have used up your {tier.sentence}; try again in {_span(wait_s)}.",
        headers={"Retry-After": str(wait_s), "RateLimit": limits, "RateLimit-Policy": policies},
    )


def _wait_s(verdict: Verdict) -> int:
    return max(1, math.ceil(verdict.reset_in_s))


def _headers(found: list[tuple[_Tier, Verdict]]) -> tuple[str, str]:
    """Return the values of `RateLimit` and `RateLimit-Policy`."""
    return ", ".join(tier.shown(each) for tier, each in found), ", ".join(tier.policy for tier, _ in found)


def _address(exchange: Exchange) -> str:
    client = exchange.scope.get("client")
    address = exchange.state.get("client_address")
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
