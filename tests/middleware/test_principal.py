from typing import Any, cast

import pytest
from litestar.types import Receive, Scope, Send

from service import database as databases
from service.access.principals import ANONYMOUS, Principal
from service.access.tokens import Tokens
from service.errors import TokenInvalid
from service.identity.key_bearers import KeyBearers
from service.identity.revocations import Revocations
from service.middleware.principal import PrincipalMiddleware

AWAY = databases.connect(
    "mongodb://127.0.0.1:1", "nothing", pool_size=1, selection_timeout_s=0.05, operation_timeout_s=0.05
)
TOKENS = Tokens("a secret for tests that is long enough", (), issuer="sheaf", audience="sheaf", ttl_s=3600)
ANN = Principal("user", "ann", frozenset({"editor"}), session_id="s1")
TOKEN = TOKENS.issue(ANN)

NOT_BEARER = "The Authorization header must be `Bearer <access token>`"
NOT_VALID = "The access token is not valid"


async def state_after(*values: str, scope_type: str = "http", **present: Any) -> dict[str, Any]:
    """Give the state with which the application is called when these Authorization headers are sent."""
    seen: list[dict[str, Any]] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(cast("dict[str, Any]", scope))

    scope = {
        "type": scope_type,
        "headers": [(b"host", b"x"), *((b"authorization", value.encode("latin-1")) for value in values)],
        **present,
    }
    channel = cast("Any", None)
    revocations = Revocations(TOKENS.ttl_s)
    await PrincipalMiddleware(TOKENS, KeyBearers(AWAY, revocations), revocations)(application)(
        cast("Scope", scope), channel, channel
    )
    return cast("dict[str, Any]", seen[0].get("state", {}))


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "])
async def test_a_bearer_token_says_who_asks(header: str) -> None:
    assert await state_after(header) == {"principal": ANN}


async def test_without_a_token_nobody_in_particular_asks() -> None:
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
async def test_a_bad_token_makes_the_caller_anonymous_and_is_kept_for_the_guards(
    headers: list[str], detail: str
) -> None:
    state = await state_after(*headers)
    failure = state.pop("token_failure")
    assert state == {"principal": ANONYMOUS}
    assert (type(failure), failure.detail) == (TokenInvalid, detail)


async def test_what_else_the_state_holds_is_kept_but_nobody_elses_identity() -> None:
    present = {"request_id": "1", "principal": ANN, "token_failure": TokenInvalid()}
    assert await state_after(state=present) == {"request_id": "1", "principal": ANONYMOUS}


async def test_the_lifespan_passes_through() -> None:
    assert await state_after(scope_type="lifespan") == {}
