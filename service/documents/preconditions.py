"""Versions as entity tags: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, 8.8.3 and 13.1)."""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from service.collections.registry import Collection
from service.kit.errors import PreconditionRequired, RequestInvalid, Stale

_ELEMENT = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,|$)')
"""A part of a list, which may be empty (RFC 9110, 5.6.1.2); a comma may stand in a tag, too."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a write demands of the document as it is.

    `If-Match`: that it has one of `versions`, any when None (`*`, or no such header). `If-None-Match`: that
    it has none of `excluded`, or, when `is_absent` (`*`), that there is none.
    """

    versions: frozenset[str] | None
    has_if_match: bool = True
    excluded: frozenset[str] = frozenset()
    is_absent: bool = False

    def check(self, document: dict[str, Any]) -> None:
        """Raise Stale, with the present version, unless the document is as expected."""
        version = version_of(document)
        if self.is_absent or str(version) in self.excluded:
            detail = f"The document is there, at version {version}"
            raise Stale(detail, _version=version)
        if self.versions is not None and str(version) not in self.versions:
            raise Stale(
                f"The document is at version {version}",
                hint="Read it again, apply your change to that, and send its ETag in If-Match.",
                _version=version,
            )


def tag(document: dict[str, Any]) -> str:
    """Return the strong entity tag of a stored document: its version.

    >>> tag({"_version": 3})
    '"3"'
    """
    return f'"{version_of(document)}"'


def view_tag(document: dict[str, Any], content: bytes) -> str:
    """Return the weak entity tag of a view of a stored document: its version and a digest of what is shown.

    It never stands for the document itself, so that nobody changes that by `If-Match` with it.

    >>> view_tag({"_version": 3}, b"{}")
    'W/"3-01e7b720ff566d53"'
    """
    return f'W/"{version_of(document)}-{blake2b(content, digest_size=8).hexdigest()}"'


def version_of(document: dict[str, Any]) -> int:
    """Return a stored document's version; 0 for one that another program put there without."""
    version: int = document.get("_version") or 0
    return version


def read_if_match(header: str | None) -> Expected | None:
    """Read `If-Match`; weak tags never match (strong comparison). Raises RequestInvalid when malformed.

    >>> read_if_match('"1", W/"2"').versions
    frozenset({'1'})
    >>> sorted(read_if_match('"1",, "a,b"').versions)
    ['1', 'a,b']
    """
    if header is None:
        return None
    if header.strip() == "*":
        return Expected(None)
    return Expected(frozenset(opaque for weak, opaque in _tags("If-Match", header) if not weak))


def read(if_match: str | None, if_none_match: str | None) -> Expected | None:
    """Read the conditions of a write, None without any; raises RequestInvalid when malformed.

    >>> read(None, "*").is_absent, read(None, None)
    (True, None)
    """
    matched = read_if_match(if_match)
    if if_none_match is None:
        return matched
    is_absent = if_none_match.strip() == "*"
    tags = [] if is_absent else _tags("If-None-Match", if_none_match)
    return Expected(
        versions=matched.versions if matched is not None else None,
        has_if_match=matched is not None,
        excluded=frozenset(opaque for _, opaque in tags),
        is_absent=is_absent,
    )


def require(collection: Collection, expected: Expected | None) -> None:
    """Raise PreconditionRequired when the collection demands `If-Match` of changes and there is none.

    `If-None-Match: *` will do too: what only creates overwrites nobody's change.
    """
    if not collection.description.options.requires_if_match:
        return
    if expected is None or not (expected.has_if_match or expected.is_absent):
        raise PreconditionRequired(
            f"A change of a document of `{collection.name}` says which version it is of",
            hint="Read the document, and send its ETag in If-Match.",
        )


def is_known(header: str | None, entity_tag: str) -> bool:
    """Return whether `If-None-Match` names the tag (weak comparison): the client has this answer already.

    >>> is_known('W/"1", "3"', '"3"'), is_known(None, '"3"'), is_known("*", '"3"')
    (True, False, True)
    """
    if header is None:
        return False
    if header == entity_tag or header.strip() == "*":
        return True
    wanted = entity_tag.removeprefix("W/").strip('"')
    return any(opaque == wanted for _, opaque in _tags("If-None-Match", header))


def _tags(name: str, header: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(header) and (match := _ELEMENT.match(header, at)):
        at = match.end()
        if match[2] is not None:
            found.append((match[1] or "", match[2]))
    if at < len(header) or not found:
        raise RequestInvalid(f'{name} is not a list of entity tags such as "3"')
    return found
