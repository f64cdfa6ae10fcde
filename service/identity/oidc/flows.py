"""A sign-in at a provider from its beginning to its end, in one browser; what is begun can be ended once."""

import re
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.identity import one_time
from service.identity.oidc import flow_secrets
from service.identity.oidc.flow_secrets import FlowSecrets
from service.identity.oidc.identities import Identity
from service.kit.errors import FlowInvalid
from service.kit.sealing import Sealer, digest

STATE_TTL_S = 600
"""How long somebody may take at the provider."""

CODE_TTL_S = 60
"""How long an app may take to exchange the code that it gets."""

BROWSER_BYTES = 32
BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")

Mode = Literal["cookie", "bearer", "link"]
"""What comes of a flow: a session in cookies, or a code, to sign in with or to link with."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What was asked for at the beginning; `code_challenge` is the app's own, where it gets a code."""

    mode: Mode
    return_to: str
    code_challenge: str | None = None


def browser_secret(present: str | None) -> str:
    """Give the secret that tells a browser from others: that which it has, else a new one."""
    if present is not None and BROWSER.fullmatch(present):
        return present
    return secrets.token_urlsafe(BROWSER_BYTES)


async def begin(sealer: Sealer, provider: str, intent: Intent, browser: str) -> tuple[str, FlowSecrets]:
    """Give the `state` and the secrets of a new flow, which only this browser can end."""
    own = flow_secrets.make()
    state = await one_time.give(
        _purpose(provider, browser), STATE_TTL_S, secrets=own.sealed(sealer), **asdict(intent)
    )
    return state, own


async def end(sealer: Sealer, provider: str, state: str, browser: str | None) -> tuple[Intent, FlowSecrets]:
    """Use a `state` up; raises FlowInvalid unless this browser began it, with this provider, lately.

    The browser and the provider are part of what is looked up, so that nobody else's try uses it up.
    """
    begun = None if browser is None else await one_time.take(_purpose(provider, browser), state)
    if begun is None:
        raise FlowInvalid
    facts = dict(begun.facts)
    own = flow_secrets.unsealed(sealer, facts.pop("secrets"))
    if own is None:
        raise FlowInvalid
    return Intent(**facts), own


async def give_code(intent: Intent, identity: Identity) -> str:
    """Give a code for an app, good for one exchange by whoever knows the verifier of its challenge."""
    facts: dict[str, Any] = {"identity": asdict(identity), "challenge": intent.code_challenge}
    return await one_time.give(f"oidc {intent.mode}", CODE_TTL_S, **facts)


async def take_code(mode: Mode, code: str, verifier: str) -> Identity:
    """Use a code up; raises FlowInvalid for an unknown one, and for a verifier that is not its own."""
    given = await one_time.take(f"oidc {mode}", code)
    if given is None or not flow_secrets.proves(verifier, given.facts["challenge"]):
        raise FlowInvalid
    return Identity(**given.facts["identity"])


def _purpose(provider: str, browser: str) -> str:
    return f"oidc state {provider} {digest(browser)}"
