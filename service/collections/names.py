"""Names that a collection may have."""

import re

from service.kit.errors import DefinitionInvalid, Violation

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
RESERVED = frozenset(
    {
        "audit",
        "auth",
        "batch",
        "collections",
        "docs",
        "files",
        "health",
        "keys",
        "profile",
        "rules",
        "streams",
        "users",
    }
)
"""Words that the API's own paths use."""


def check(name: object) -> str:
    """Return the name back if a collection may have it; raises DefinitionInvalid at `/name`.

    >>> check("blog-posts")
    'blog-posts'
    >>> check("Users")
    Traceback (most recent call last):
    service.kit.errors.DefinitionInvalid: `Users` cannot be the name of a collection
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        shown = name[:80] if isinstance(name, str) else "that"
        raise _refusal(
            f"`{shown}` cannot be the name of a collection",
            "pattern",
            "Use a lower-case letter, then up to 62 lower-case letters, digits, `_` and `-`.",
        )
    if name in RESERVED:
        raise _refusal(f"`{name}` is a word of the API itself", "reserved", f"Try `my-{name}`.")
    return name


def _refusal(detail: str, code: str, hint: str) -> DefinitionInvalid:
    return DefinitionInvalid(detail, errors=[Violation(detail, code, pointer="/name", hint=hint)])
