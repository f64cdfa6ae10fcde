"""Scopes: what an API key may do at the most, of what its owner may do at that moment."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from service.access.principals import Principal
from service.access.rules import GROUPS, VERBS, Verb
from service.kit.errors import DocumentInvalid, Forbidden, Violation, suggestion

ANY = "*"
"""Stands for every collection of documents, or for every verb."""

AREAS: Mapping[str, tuple[str, ...]] = {
    "collections": ("read", "write"),
    "audit": ("read",),
}
"""What is not documents, but open to keys whose scopes name it; `*` in a collection's place does not.

The endpoints ask for their role besides, so that these scopes are of use to administrators' keys only.
"""

MAXIMUM_SCOPES = 50
MAXIMUM_CHARACTERS = 100

_COLLECTION = re.compile(r"\*|[a-z][a-z0-9_-]{0,62}", re.ASCII)
_KNOWN = (*VERBS, *GROUPS, ANY)
_COVERING: Mapping[str, tuple[str, ...]] = {
    verb: (verb, *(group for group, verbs in GROUPS.items() if verb in verbs), ANY) for verb in VERBS
}
"""For each verb, the words in a scope that cover it."""


def cover(principal: Principal, collection: str, verb: Verb) -> bool:
    """Return whether a caller's scopes cover a verb in a collection; who has none is not narrowed.

    >>> reader = Principal("key", "1", frozenset(), scopes=frozenset({"products:read", "*:create"}))
    >>> [cover(reader, "products", verb) for verb in ("list", "create", "delete")]
    [True, True, False]
    """
    scopes = principal.scopes
    if scopes is None:
        return True
    words = _COVERING[verb]
    return any(f"{name}:{word}" in scopes for name in (collection, ANY) for word in words)


def cover_area(principal: Principal, area: str, use: Literal["read", "write"]) -> bool:
    """Return whether a caller's scopes cover the use of an area; who has none is not narrowed."""
    scopes = principal.scopes
    return scopes is None or f"{area}:{use}" in scopes or f"{area}:{ANY}" in scopes


def lacking(scope: str) -> Forbidden:
    """Return the failure for an API key that would need a scope."""
    return Forbidden(f"The API key does not have the scope `{scope}`", hint="Make a key that has it.")


def checked(scopes: Sequence[str]) -> list[str]:
    """Return scopes in order, each once; raises DocumentInvalid with a violation for each that is none.

    A collection need not exist: it may come later.

    >>> checked(["orders:create", "*:list", "orders:create"])
    ['*:list', 'orders:create']
    """
    violations = [
        violation
        for position, scope in enumerate(scopes)
        for violation in _faults(scope, f"/scopes/{position}")
    ]
    if violations:
        number = len(violations)
        raise DocumentInvalid(
            "1 scope is wrong" if number == 1 else f"{number} scopes are wrong", errors=violations
        )
    return sorted(set(scopes))


def _faults(scope: str, pointer: str) -> Iterator[Violation]:
    shown = scope[:MAXIMUM_CHARACTERS]
    name, colon, word = scope.partition(":")
    if not colon or not _COLLECTION.fullmatch(name):
        detail = f"`{shown}` is not `<collection>:<verb>`, such as `products:read`"
        hint = f"Did you mean `{shown}:read`?" if _COLLECTION.fullmatch(shown) else None
        yield Violation(detail, "pattern", pointer, hint=hint)
        return
    known = (*AREAS[name], ANY) if name in AREAS else _KNOWN
    if word not in known:
        detail = f"`{shown}` does not name one of {', '.join(known)}"
        yield Violation(detail, "verb", pointer, hint=suggestion(word[:MAXIMUM_CHARACTERS], known))
