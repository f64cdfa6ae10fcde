"""A sign-in at a provider from its beginning to its end, in one browser; what is begun can be ended once."""

import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from service.identity.core import one_time
from service.identity.oidc.id_tokens import Identity
from service.kit.base64url import encoded
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

PURPOSE = "oidc flow"
SECRET_BYTES = 32

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class FlowSecrets:
    """Two random texts, known to nobody but this service until the provider is asked for tokens."""

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> "FlowSecrets":
        """Make those of a new sign-in."""
        return cls(secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES))

    @classmethod
    def unsealed(cls, sealer: Sealer, sealed: str) -> "FlowSecrets | None":
        """Read what `sealed` gave; None when its secret is no longer one of ours."""
        content = sealer.unseal(PURPOSE, sealed)
        return None if content is None else cls(*content.decode().split(" "))

    @property
    def challenge(self) -> str:
        """Return what the provider is told of the verifier in advance."""
        return challenge_of(self.verifier)

    def sealed(self, sealer: Sealer) -> str:
        """Return both, readable by this service only."""
        return sealer.seal(PURPOSE, f"{self.nonce} {self.verifier}".encode())


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier.

    >>> challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return encoded(hashlib.sha256(verifier.encode()).digest())


def proves(verifier: str, challenge: str) -> bool:
    """Return whether a verifier is that of a challenge.

    >>> proves("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    True
    """
    return hmac.compare_digest(challenge_of(verifier), challenge)


@dataclass(frozen=True, slots=True)
class Intent:
    """What was asked for at the beginning; `code_challenge` is the app's own, where it gets a code."""

    mode: Mode
    return_to: str
    code_challenge: str | None = None


def browser_secret(present: str | None) -> str:
    """Return the secret that tells a browser from others: that which it has, else a new one."""
    if present is not None and BROWSER.fullmatch(present):
        return present
    return secrets.token_urlsafe(BROWSER_BYTES)


async def begin(sealer: Sealer, provider: str, intent: Intent, browser: str) -> tuple[str, FlowSecrets]:
    """Return the `state` and the secrets of a new flow, which only this browser can end."""
    own = FlowSecrets.new()
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
    own = FlowSecrets.unsealed(sealer, facts.pop("secrets"))
    if own is None:
        raise FlowInvalid
    return Intent(**facts), own


async def give_code(intent: Intent, identity: Identity) -> str:
    """Return a code for an app, good for one exchange by whoever knows the verifier of its challenge."""
    facts: dict[str, Any] = {"identity": asdict(identity), "challenge": intent.code_challenge}
    return await one_time.give(f"oidc {intent.mode}", CODE_TTL_S, **facts)


async def take_code(mode: Mode, code: str, verifier: str) -> Identity:
    """Use a code up; raises FlowInvalid for an unknown one, and for a verifier that is not its own."""
    given = await one_time.take(f"oidc {mode}", code)
    if given is None or not proves(verifier, given.facts["challenge"]):
        raise FlowInvalid
    return Identity(**given.facts["identity"])


def _purpose(provider: str, browser: str) -> str:
    return f"oidc state {provider} {digest(browser)}"
