from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from litestar.types import Receive, Scope, Send

from models.base import utc_now
from service.access.principals import ANONYMOUS, Principal
from service.http.pipeline.headers import FIRST_VALUES
from service.http.pipeline.principal import PrincipalMiddleware
from service.http.pipeline.runner import Pipeline
from service.identity.api_keys import KeyBearers
from service.identity.core.browsers import Browsers
from service.identity.core.revocations import Revocations
from service.identity.core.tokens import Tokens
from service.kit.errors import CrossSite, DatabaseUnavailable, TokenInvalid, TokenOutdated
from service.kit.origins import Origins
from service.kit.sealing import Sealer
from service.storage import database as databases

AWAY = databases.connect(
    "mongodb://127.0.0.1:1", "nothing", pool_size=1, selection_timeout_s=0.05, operation_timeout_s=0.05
)
TOKENS = Tokens("a secret for tests that is long enough", (), issuer="sheaf", audience="sheaf", ttl_s=3600)
BROWSERS = Browsers(Sealer(["a secret"]), Origins(["https://app.test"]), is_secure=True)
ANN = Principal("user", "ann", frozenset({"editor"}), session_id="s1")
TOKEN = TOKENS.issue(ANN)

NOT_BEARER = "The Authorization header must be `Bearer <access token>`"
NOT_VALID = "The access token is not valid"


def heard() -> Revocations:
    """Return revocations of which it is known that there are none."""
    revocations = Revocations(TOKENS.ttl_s)
    revocations.hear()
    return revocations


async def state_after(
    *values: str,
    scope_type: str = "http",
    method: str = "GET",
    revocations: Revocations | None = None,
    others: Sequence[tuple[str, str]] = (),
    **present: Any,
) -> dict[str, Any]:
    """Return the state with which the application is called when these Authorization headers are sent."""
    seen: list[dict[str, Any]] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(cast("dict[str, Any]", scope))

    scope = {
        "type": scope_type,
        "method": method,
        "scheme": "https",
        "headers": [
            (b"host", b"x"),
            *((b"authorization", value.encode("latin-1")) for value in values),
            *((name.encode(), value.encode("latin-1")) for name, value in others),
        ],
        **present,
    }
    channel = cast("Any", None)
    revocations = revocations or heard()
    principals = PrincipalMiddleware(TOKENS, KeyBearers(AWAY, revocations), revocations, BROWSERS)
    await Pipeline(application, [principals])(cast("Scope", scope), channel, channel)
    state = seen[0].get("state", {})
    return {name: value for name, value in state.items() if name != FIRST_VALUES}


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "])
async def test_bearer_token_gives_principal(header: str) -> None:
    assert await state_after(header) == {"principal": ANN}


async def test_request_without_token_is_anonymous() -> None:
    assert await state_after() == {"principal": ANONYMOUS}


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ([""], NOT_BEARER),
        (["Bearer"], NOT_BEARER),
        (["Bearer "], NOT_BEARER),
        ([TOKEN], NOT_BEARER),
        ([f"Token {TOKEN}"], NOT_BEARER),
        (["Basic YTpi"], NOT_BEARER),
        ([f"Bearer,{TOKEN}"], NOT_BEARER),
        ([f"Bearer {TOKEN} {TOKEN}"], NOT_VALID),
        ([f"Bearer {TOKEN}, Bearer {TOKEN}"], NOT_VALID),
        ([f"Bearer {TOKEN}x"], NOT_VALID),
        (["Bearer é"], NOT_VALID),
        ([f"Bearer {TOKEN}", f"Bearer {TOKEN}"], "Send one Authorization header, not several"),
        ([f"Bearer {TOKEN}", "Basic YTpi"], "Send one Authorization header, not several"),
    ],
)
async def test_invalid_token_gives_anonymous_principal_and_token_failure(
    headers: list[str], detail: str
) -> None:
    state = await state_after(*headers)
    failure = state.pop("token_failure")
    assert state == {"principal": ANONYMOUS}
    assert (type(failure), failure.detail) == (TokenInvalid, detail)


async def test_other_state_is_kept_and_stale_principal_is_replaced() -> None:
    present = {"request_id": "1", "principal": ANN, "token_failure": TokenInvalid()}
    assert await state_after(state=present) == {"request_id": "1", "principal": ANONYMOUS}


async def test_lifespan_scope_passes_untouched() -> None:
    assert await state_after(scope_type="lifespan") == {}


# --- what is revoked


async def test_token_of_ended_session_is_outdated_with_its_session_id() -> None:
    revocations = heard()
    until = utc_now() + timedelta(minutes=1)
    revocations.learn([{"_id": "session:s1", "epoch": 1, "expires_at": until}])
    failure = (await state_after(f"Bearer {TOKEN}", revocations=revocations))["token_failure"]
    assert (type(failure), failure.session_id) == (TokenOutdated, "s1")


async def test_token_is_503_while_revocations_are_unknown() -> None:
    silent = Revocations(TOKENS.ttl_s)
    state = await state_after(f"Bearer {TOKEN}", revocations=silent)
    assert (state["principal"], type(state["token_failure"])) == (ANONYMOUS, DatabaseUnavailable)
    assert await state_after(revocations=silent) == {"principal": ANONYMOUS}


# --- cookies

COOKIE = ("cookie", f"a=b; __Host-sheaf_access={TOKEN};c=d")
CSRF = ("x-csrf-token", BROWSERS.csrf_token("s1"))
OWN = ("origin", "https://x")


@pytest.mark.parametrize(
    ("method", "others"),
    [
        ("GET", [COOKIE]),
        ("HEAD", [COOKIE, ("origin", "https://evil.test")]),
        ("POST", [COOKIE, CSRF, OWN]),
        ("POST", [COOKIE, CSRF, ("origin", "https://X:443")]),
        ("PUT", [COOKIE, CSRF, ("origin", "https://app.test")]),
        ("PATCH", [COOKIE, CSRF, ("sec-fetch-site", "same-origin")]),
        ("DELETE", [COOKIE, CSRF, ("referer", "https://app.test/page?x=1")]),
        ("POST", [("cookie", "x=y"), COOKIE, CSRF, OWN]),
    ],
)
async def test_cookie_from_own_page_gives_principal(method: str, others: list[tuple[str, str]]) -> None:
    assert await state_after(method=method, others=others) == {"principal": ANN}


@pytest.mark.parametrize(
    "others",
    [
        [COOKIE, CSRF],
        [COOKIE, OWN],
        [COOKIE, OWN, ("x-csrf-token", BROWSERS.csrf_token("s2"))],
        [COOKIE, OWN, ("x-csrf-token", "")],
        [COOKIE, OWN, ("x-csrf-token", CSRF[1][:-1] + "é")],
        [COOKIE, OWN, CSRF, CSRF],
        [COOKIE, CSRF, ("origin", "https://evil.test")],
        [COOKIE, CSRF, ("origin", "https://x.evil.test")],
        [COOKIE, CSRF, ("origin", "http://x")],
        [COOKIE, CSRF, ("origin", "https://x:8443")],
        [COOKIE, CSRF, ("origin", "null")],
        [COOKIE, CSRF, ("origin", "")],
        [COOKIE, CSRF, ("origin", "https://x@evil.test")],
        [COOKIE, CSRF, ("origin", "https://evil.test"), ("sec-fetch-site", "same-origin")],
        [COOKIE, CSRF, ("sec-fetch-site", "same-site"), ("referer", "https://x/")],
        [COOKIE, CSRF, ("sec-fetch-site", "none")],
        [COOKIE, CSRF, ("referer", "https://evil.test/https://x/")],
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_a46_write_with_cookie_from_another_site_is_refused(
    method: str, others: list[tuple[str, str]]
) -> None:
    state = await state_after(method=method, others=others)
    assert (state["principal"], type(state["token_failure"])) == (ANONYMOUS, CrossSite)


@pytest.mark.parametrize(
    "cookie",
    [
        f"sheaf_access={TOKEN}",
        f"__Secure-sheaf_access={TOKEN}",
        f"x__Host-sheaf_access={TOKEN}",
        f"a=__Host-sheaf_access={TOKEN}",
        "__Host-sheaf_access=",
    ],
)
async def test_cookie_of_another_name_is_ignored(cookie: str) -> None:
    assert await state_after(others=[("cookie", cookie)]) == {"principal": ANONYMOUS}


async def test_authorization_header_wins_over_cookie() -> None:
    bob = Principal("user", "bob", frozenset(), session_id="s2")
    assert await state_after(f"Bearer {TOKENS.issue(bob)}", method="POST", others=[COOKIE]) == {
        "principal": bob
    }
    state = await state_after("Basic x", others=[COOKIE])
    assert (state["principal"], type(state["token_failure"])) == (ANONYMOUS, TokenInvalid)


async def test_cookie_of_websocket_counts_on_a_page_of_our_own_only() -> None:
    own = [COOKIE, ("origin", "https://x")]
    assert await state_after(scope_type="websocket", others=own) == {"principal": ANN}
    for others in ([COOKIE], [COOKIE, ("origin", "https://y")], [COOKIE, ("origin", "null")]):
        state = await state_after(scope_type="websocket", others=others)
        assert (state["principal"], type(state["token_failure"])) == (ANONYMOUS, CrossSite)


async def test_websocket_may_offer_its_token_as_a_subprotocol() -> None:
    bob = Principal("user", "bob", frozenset(), session_id="s2")
    offered = ["sheaf", f"sheaf.bearer.{TOKENS.issue(bob)}"]
    foreign = [COOKIE, ("origin", "https://y")]
    state = await state_after(scope_type="websocket", others=foreign, subprotocols=offered)
    assert state == {"principal": bob}, "what was chosen counts before what a browser adds"
    state = await state_after(scope_type="websocket", subprotocols=["sheaf.bearer.x"])
    assert (state["principal"], type(state["token_failure"])) == (ANONYMOUS, TokenInvalid)
    assert await state_after(subprotocols=offered) == {"principal": ANONYMOUS}
