"""What one sign-in at a provider is known by: its nonce, and the verifier of its PKCE (RFC 7636)."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from service.kit.base64url import encoded
from service.kit.sealing import Sealer

PURPOSE = "oidc flow"
SECRET_BYTES = 32

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class FlowSecrets:
    """Two random texts, known to nobody but this service until the provider is asked for tokens."""

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """Give what the provider is told of the verifier in advance."""
        return challenge_of(self.verifier)

    def sealed(self, sealer: Sealer) -> str:
        """Give both, readable by this service only."""
        return sealer.seal(PURPOSE, f"{self.nonce} {self.verifier}".encode())


def make() -> FlowSecrets:
    """Make those of a new sign-in."""
    return FlowSecrets(secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES))


def unsealed(sealer: Sealer, sealed: str) -> FlowSecrets | None:
    """Read what `sealed` gave; None when its secret is no longer one of ours."""
    content = sealer.unseal(PURPOSE, sealed)
    return None if content is None else FlowSecrets(*content.decode().split(" "))


def challenge_of(verifier: str) -> str:
    """Give the S256 challenge of a verifier.

    >>> challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return encoded(hashlib.sha256(verifier.encode()).digest())


def proves(verifier: str, challenge: str) -> bool:
    """Tell whether a verifier is that of a challenge.

    >>> proves("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    True
    """
    return hmac.compare_digest(challenge_of(verifier), challenge)
