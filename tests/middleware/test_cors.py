import re
from pathlib import Path

import pytest

from service.http.pipeline.cors import REQUEST_HEADERS, Cors
from service.kit.errors import StartupFailure
from tests.middleware.apps import answering, ask, get, raising, wrap

ORIGIN = "https://app.example"
PAGE = (Path(__file__).parents[2] / "docs/reference/protection.md").read_text()
LOCAL = "http://localhost:5173"
EXPOSED = (
    "Accept-Patch, Allow, ETag, Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, "
    "RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-ID"
)
PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def test_documentation_names_cors_headers() -> None:
    (told,) = re.findall(r"- Who may call may (.*?)\.\s", PAGE, re.DOTALL)
    sent, read = (set(re.findall(r"`([^`]+)`", part)) for part in told.split("and read"))
    assert sent == set(REQUEST_HEADERS.decode().split(", "))
    assert read == set(EXPOSED.split(", "))


async def test_listed_origin_gets_cors_headers() -> None:
    answer = await get(wrap(answering(), Cors(origins=[ORIGIN])), origin=ORIGIN)
    assert dict(answer.headers) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-expose-headers": EXPOSED,
        "vary": "Origin",
    }


async def test_listed_origin_may_send_credentials_when_configured() -> None:
    answer = await get(wrap(answering(), Cors(origins=[ORIGIN], credentials=True)), origin=ORIGIN)
    assert dict(answer.headers) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": EXPOSED,
        "vary": "Origin",
    }


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://app.example",
        f"{ORIGIN}.evil.example",
        f"{ORIGIN}:8443",
        "",
        "*",
    ],
)
async def test_unlisted_origin_gets_no_cors_headers(origin: str) -> None:
    answer = await get(wrap(answering(b"{}"), Cors(origins=[ORIGIN])), origin=origin)
    assert (answer.status_code, dict(answer.headers)) == (200, {"vary": "Origin"})


async def test_request_without_origin_varies_by_origin() -> None:
    answer = await get(wrap(answering(headers=[(b"vary", b"Authorization")]), Cors(origins=[ORIGIN])))
    assert dict(answer.headers) == {"vary": "Authorization, Origin"}


async def test_open_cors_answers_star_without_credentials() -> None:
    answer = await get(wrap(answering(), Cors(origins=["*"])), origin=ORIGIN)
    assert dict(answer.headers) == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": EXPOSED,
    }


def test_open_cors_with_credentials_fails_at_start() -> None:
    with pytest.raises(StartupFailure, match="may not allow credentials"):
        Cors(origins=["*"], credentials=True)


async def test_preflight_of_listed_origin_is_answered_without_application() -> None:
    app = wrap(raising(AssertionError("reached")), Cors(origins=[f"{ORIGIN}/"], max_age_s=60))
    answer = await ask(app, "OPTIONS", origin=ORIGIN, access_control_request_method="PATCH")
    assert (answer.status_code, answer.content) == (204, b"")
    assert dict(answer.headers) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": (
            "Accept, Authorization, Content-Type, Idempotency-Key, "
            "If-Match, If-None-Match, Last-Event-ID, Prefer, traceparent, tracestate, X-CSRF-Token, "
            "X-Request-ID"
        ),
        "access-control-max-age": "60",
        "cache-control": "no-store",
        "vary": PREFLIGHT_VARY,
    }


@pytest.mark.parametrize("origins", [[], [ORIGIN]])
async def test_preflight_of_unlisted_origin_allows_nothing(origins: list[str]) -> None:
    app = wrap(raising(AssertionError("reached")), Cors(origins=origins))
    answer = await ask(app, "OPTIONS", origin="https://evil.example", access_control_request_method="GET")
    assert answer.status_code == 204
    assert dict(answer.headers) == {"cache-control": "no-store", "vary": PREFLIGHT_VARY}


@pytest.mark.parametrize("headers", [{}, {"origin": ORIGIN}, {"access_control_request_method": "GET"}])
async def test_options_request_without_preflight_headers_reaches_application(headers: dict[str, str]) -> None:
    answer = await ask(wrap(answering(b"mine"), Cors(origins=[ORIGIN])), "OPTIONS", **headers)
    assert answer.content == b"mine"


@pytest.mark.parametrize("origin", [LOCAL, "https://127.0.0.1", "http://[::1]:3000"])
@pytest.mark.parametrize("origins", [[], [ORIGIN], ["*"]])
async def test_local_page_may_call_with_credentials_in_development(origin: str, origins: list[str]) -> None:
    answer = await get(wrap(answering(), Cors(origins=origins, local=True)), origin=origin)
    assert dict(answer.headers) == {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": EXPOSED,
        "vary": "Origin",
    }


@pytest.mark.parametrize(
    ("origins", "allowed"), [([], None), ([LOCAL], None), (["*"], "*"), ([ORIGIN], ORIGIN)], ids=str
)
async def test_foreign_page_has_no_more_rights_in_development(
    origins: list[str], allowed: str | None
) -> None:
    answer = await get(wrap(answering(), Cors(origins=origins, local=True)), origin=ORIGIN)
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["vary"] == "Origin"


async def test_local_page_is_unlisted_in_production() -> None:
    answer = await get(wrap(answering(), Cors(origins=[ORIGIN], credentials=True)), origin=LOCAL)
    assert dict(answer.headers) == {"vary": "Origin"}


@pytest.mark.parametrize(
    ("local", "origin", "allowed"),
    [
        (True, LOCAL, "true"),
        (True, ORIGIN, "true"),
        (True, "https://evil.example", None),
        (False, ORIGIN, None),
    ],
)
async def test_listed_page_may_call_private_network_in_development(
    local: bool, origin: str, allowed: str | None
) -> None:
    app = wrap(raising(AssertionError("reached")), Cors(origins=[ORIGIN], local=local))
    wanted = {"access_control_request_method": "GET", "access_control_request_private_network": "true"}
    answer = await ask(app, "OPTIONS", origin=origin, **wanted)
    assert answer.headers.get("access-control-allow-private-network") == allowed
    plain = await ask(app, "OPTIONS", origin=origin, access_control_request_method="GET")
    assert "access-control-allow-private-network" not in plain.headers


async def test_cors_without_origins_adds_nothing() -> None:
    answer = await get(wrap(answering(), Cors(origins=())), origin=ORIGIN)
    assert dict(answer.headers) == {}
