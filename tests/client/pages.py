"""The pages of examples/: what they allow themselves, and the same pages for a service at another address."""

import hashlib
import re
from base64 import b64encode

SERVICE = "http://127.0.0.1:8000"
POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content=")([^"]*)(">)')


def digest(page: str, tag: str) -> str:
    """Return the source expression that allows the page's one element of a kind."""
    [content] = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", page, re.DOTALL)
    return f"'sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def policy(page: str, service: str) -> str:
    """Return the strictest policy under which a page works."""
    return (
        f"default-src 'none'; script-src {digest(page, 'script')} {service}; "
        f"style-src {digest(page, 'style')}; connect-src {service}; base-uri 'none'; form-action 'none'"
    )


def of_service(page: str, service: str) -> str:
    """Return a page for a service at an address, with its policy."""
    moved = page.replace(SERVICE, service)
    return POLICY.sub(lambda found: found[1] + policy(moved, service) + found[3], moved)
