"""A sign-in at a provider from its beginning to its end, in one browser; what is begun can be ended once."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from service.identity.core import one_time
from service.identity.oidc.id_tokens import Identity
from service.kit.errors import FlowInvalid, ParameterInvalid, StartupFailure, Violation
from service.kit.origins import Origins
from service.kit.sealing import Sealer, base64url, digest

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
    return base64url(hashlib.sha256(verifier.encode()).digest())


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


MAXIMUM_URL_CHARACTERS = 2000

_PLAIN = re.compile(r"[!-~]+")  # nothing that browsers and we could read differently
_APP_URL = re.compile(r"[a-z][a-z0-9+.-]*:[!$-~]+")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ReturnUrls:
    """The addresses that are allowed: any path on some origins, and some URLs of apps, each exactly.

    Raises StartupFailure for what is no URL.
    """

    def __init__(self, origins: Origins, urls: Iterable[str]) -> None:
        self._origins = origins
        self._urls = frozenset(urls)
        for each in self._urls:
            if not _APP_URL.fullmatch(each):
                fault = f"SHEAF_OIDC_RETURN_URLS has `{each[:80]}`; write whole URLs, without `#`."
                raise StartupFailure(fault)

    def check(self, url: str) -> str:
        """Return the URL when it is allowed; raises ParameterInvalid.

        >>> urls = ReturnUrls(Origins(["https://app.example"]), ["com.example.app:/signed-in"])
        >>> urls.check("https://app.example/home?tab=1"), urls.check("com.example.app:/signed-in")
        ('https://app.example/home?tab=1', 'com.example.app:/signed-in')
        >>> urls.check("https://app.example@evil.example/")
        Traceback (most recent call last):
        service.kit.errors.ParameterInvalid: `return_to` is not an address that a sign-in may return to
        """
        if len(url) <= MAXIMUM_URL_CHARACTERS and (url in self._urls or _origin(url) in self._origins):
            return url
        detail = "`return_to` is not an address that a sign-in may return to"
        hint = "Use an origin of SHEAF_PUBLIC_URL or SHEAF_CORS_ORIGINS, or a URL of SHEAF_OIDC_RETURN_URLS."
        raise ParameterInvalid(detail, errors=[Violation(detail, "form", parameter="return_to", hint=hint)])


def extended(url: str, **parameters: str) -> str:
    """Return a URL with parameters added to those that it has.

    >>> extended("https://app.example/home?tab=1", code="a&b")
    'https://app.example/home?tab=1&code=a%26b'
    """
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def _origin(url: str) -> str | None:
    """Return the origin of a URL that every reader understands alike; None for any other.

    >>> _origin("HTTPS://App.example:443/x")
    'https://app.example'
    >>> [_origin(each) for each in ("//evil.example", "https:evil.example", "https://me@evil.example")]
    [None, None, None]
    >>> [_origin(each) for each in ("https://a.example#x", "https://a%2eexample", "javascript:alert(1)", "*")]
    [None, None, None, None]
    """
    if not _PLAIN.fullmatch(url) or set(url) & set("\\#"):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.netloc or set(parts.netloc) & set("@%"):
        return None
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(_DEFAULT_PORTS[parts.scheme])}"
