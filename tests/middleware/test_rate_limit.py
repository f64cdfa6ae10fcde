import re
from ipaddress import ip_network
from typing import Any, Literal

import httpx
import pytest
from litestar.types import ASGIApp

from service.access.principals import Principal
from service.http.pipeline.client_address import ClientAddress
from service.http.pipeline.rate_limit import RateLimit
from service.http.pipeline.request_id import RequestId
from service.http.pipeline.step import Exchange, Step
from service.http.problems import Failures
from service.storage.database import Database
from service.storage.rate_limits import SharedCounts
from tests.middleware.apps import answering, client_of, wrap
from tests.pace import begun


@pytest.fixture
def counts(database: Database) -> SharedCounts:
    return SharedCounts(database.motor["_rate_limits"])


@pytest.fixture
def app(counts: SharedCounts) -> ASGIApp:
    """Return an application whose anonymous, user and auth limits are 4, 6 and 2 requests."""
    limit = RateLimit(
        counts, anonymous="4/15minutes", user="6/15minutes", auth="2/minute", refresh="3/minute"
    )
    proxies = ClientAddress(trusted_proxies=[ip_network("10.0.0.0/8")])
    return wrap(answering(b"{}"), RequestId(), proxies, Failures(), _SignedInByHeader(), limit)


class _SignedInByHeader(Step):
    def enter(self, exchange: Exchange) -> None:
        headers = exchange.headers
        if b"x-user" in headers:
            kind: Literal["user", "key"] = "key" if b"x-key" in headers else "user"
            key_id = headers.get(b"x-key", b"").decode() or None
            user_id = headers[b"x-user"].decode()
            exchange.state["principal"] = Principal(kind, user_id, frozenset(), key_id=key_id)


async def ask(
    app: ASGIApp,
    times: int,
    path: str = "/api/films",
    *,
    method: str = "GET",
    address: str = "192.0.2.1",
    **headers: str,
) -> list[httpx.Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client_of(app, address) as client:
        return [on_time(await client.request(method, path, headers=named)) for _ in range(times)]


def on_time(answer: httpx.Response) -> httpx.Response:
    """Have an answer's seconds be those at the begin of its window, which may have begun a moment ago."""
    if "ratelimit" in answer.headers:
        answer.headers["ratelimit"] = re.sub(
            r"(?<=t=)[0-9]+", lambda left: str(begun(int(left[0]), 60, 900)), answer.headers["ratelimit"]
        )
    if "retry-after" in answer.headers:
        answer.headers["retry-after"] = str(begun(int(answer.headers["retry-after"]), 60, 900))
    return answer


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Return a refusal, of which the window began a moment ago, as at the begin of the window."""
    told: dict[str, Any] = answer.json()
    told["detail"] = re.sub(
        "([0-9]+) seconds",
        lambda left: {60: "1 minute", 900: "15 minutes"}.get(begun(int(left[1]), 60, 900), left[0]),
        told["detail"],
    )
    return told


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


async def test_answer_has_rate_limit_headers(app: ASGIApp) -> None:
    answers = await ask(app, 4)
    assert statuses(answers) == [200] * 4
    assert [answer.headers["ratelimit"] for answer in answers] == [
        f'"anonymous";r={remaining};t=900' for remaining in (3, 2, 1, 0)
    ]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"anonymous";q=4;w=900'}


async def test_request_beyond_rate_limit_is_429_with_retry_after(app: ASGIApp) -> None:
    answer = (await ask(app, 5, x_request_id="r1"))[4]
    assert answer.status_code == 429
    assert problem(answer) == {
        "type": "https://sheaf.dev/problems/rate.limited",
        "title": "Too many requests",
        "status": 429,
        "code": "rate.limited",
        "detail": "You have used up your 4 requests per 15 minutes; try again in 15 minutes.",
        "instance": "/api/films",
        "request_id": "r1",
    }
    assert dict(answer.headers) == {
        "content-type": "application/problem+json",
        "content-length": str(len(answer.content)),
        "cache-control": "no-store",
        "retry-after": "900",
        "ratelimit": '"anonymous";r=0;t=900',
        "ratelimit-policy": '"anonymous";q=4;w=900',
        "x-request-id": "r1",
    }


async def test_users_have_rate_limits_apart_from_their_address(app: ASGIApp) -> None:
    assert statuses(await ask(app, 5)) == [200] * 4 + [429]
    ann = await ask(app, 7, x_user="ann")
    assert statuses(ann) == [200] * 6 + [429]
    assert ann[0].headers["ratelimit"] == '"user";r=5;t=900'
    assert statuses(await ask(app, 1, x_user="bob")) == [200]


async def test_api_keys_of_user_share_the_users_rate_limit(app: ASGIApp) -> None:
    assert statuses(await ask(app, 3, x_user="ann")) == [200] * 3
    assert statuses(await ask(app, 2, x_user="ann", x_key="1")) == [200] * 2
    assert statuses(await ask(app, 2, x_user="ann", x_key="2")) == [200, 429]


@pytest.mark.parametrize(
    "path", ["/api/auth/login", "/api//auth///login", "/api/auth/login/", "/api/%61uth/register"]
)
async def test_sign_in_has_its_own_rate_limit_for_every_spelling_of_path(app: ASGIApp, path: str) -> None:
    answers = await ask(app, 3, path, method="POST")
    assert statuses(answers) == [200, 200, 429]
    assert answers[0].headers["ratelimit"] == '"auth";r=1;t=60, "anonymous";r=3;t=900'
    assert answers[0].headers["ratelimit-policy"] == '"auth";q=2;w=60, "anonymous";q=4;w=900'
    assert answers[2].headers["retry-after"] == "60"
    assert problem(answers[2])["detail"] == (
        "You have used up your 2 requests per minute; try again in 1 minute."
    )


async def test_signed_in_caller_has_the_sign_in_rate_limit(app: ASGIApp) -> None:
    assert statuses(await ask(app, 1, "/api/auth/login", method="POST")) == [200]
    assert statuses(await ask(app, 2, "/api/auth/login", method="POST", x_user="ann")) == [200, 429]


@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout", "/api//auth/refresh/"])
async def test_refresh_has_a_rate_limit_apart_from_sign_in(app: ASGIApp, path: str) -> None:
    assert statuses(await ask(app, 3, "/api/auth/login", method="POST")) == [200, 200, 429]
    answers = await ask(app, 4, path, method="POST")
    assert statuses(answers) == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit"] == '"refresh";r=2;t=60'
    assert statuses(await ask(app, 1, path, method="POST", x_user="ann")) == [429]
    assert statuses(await ask(app, 1)) == [200]


async def test_get_under_auth_counts_as_ordinary_request(app: ASGIApp) -> None:
    assert statuses(await ask(app, 4, "/api/auth/sessions")) == [200] * 4


@pytest.mark.parametrize("path", ["/api/health", "/api/health/live", "/api/health/ready/"])
async def test_health_checks_have_no_rate_limit(app: ASGIApp, path: str) -> None:
    answers = await ask(app, 9, path)
    assert statuses(answers) == [200] * 9
    assert not any("ratelimit" in answer.headers for answer in answers)


@pytest.mark.parametrize("path", ["/api/healthy", "/api/health-checks", "/api/films/%2e%2e/health"])
async def test_path_like_health_check_has_rate_limit(app: ASGIApp, path: str) -> None:
    assert "ratelimit" in (await ask(app, 1, path))[0].headers


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_real_ip", "true_client_ip"])
async def test_forwarded_address_of_untrusted_peer_is_ignored_by_rate_limit(
    app: ASGIApp, header: str
) -> None:
    found: list[int] = []
    for number in range(6):
        value = f"for=203.0.113.{number}" if header == "forwarded" else f"203.0.113.{number}"
        found += statuses(await ask(app, 1, **{header: value}))
    assert found == [200] * 4 + [429] * 2


async def test_clients_behind_trusted_proxy_have_separate_rate_limits(app: ASGIApp) -> None:
    for number in range(3):
        forwarded = f"198.51.100.{number}, 203.0.113.{number}"
        answers = await ask(app, 5, address="10.0.0.1", x_forwarded_for=forwarded)
        assert statuses(answers) == [200] * 4 + [429]


async def test_entry_before_that_of_trusted_proxy_is_ignored_by_rate_limit(app: ASGIApp) -> None:
    found: list[int] = []
    for number in range(6):
        forwarded = f"198.51.100.{number}, 203.0.113.5"
        found += statuses(await ask(app, 1, address="10.0.0.1", x_forwarded_for=forwarded))
    assert found == [200] * 4 + [429] * 2


async def test_addresses_of_one_ipv6_network_share_a_rate_limit(app: ASGIApp) -> None:
    found: list[int] = []
    for number in range(6):
        found += statuses(await ask(app, 1, address=f"2001:db8:0:7::{number}"))
    assert found == [200] * 4 + [429] * 2
    assert statuses(await ask(app, 1, address="2001:db8:0:8::1")) == [200]


async def test_two_workers_share_a_rate_limit(counts: SharedCounts) -> None:
    workers = [
        wrap(
            answering(),
            RequestId(),
            Failures(),
            RateLimit(counts, anonymous="20/hour", user="9/hour", auth="9/hour", refresh="9/hour", workers=2),
        )
        for _ in range(2)
    ]
    found = [status for _ in range(20) for worker in workers for status in statuses(await ask(worker, 1))]
    assert (found.count(200), found.count(429)) == (20, 20)
