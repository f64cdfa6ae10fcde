"""What a client sends as a document: legal names, no system fields, matching the schema."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from models.base import SYSTEM_FIELDS
from service import schema as schemas
from service.collections.registry import Collection
from service.kit.errors import (
    MAXIMUM_VIOLATIONS,
    DocumentInvalid,
    Failure,
    FieldNotWritable,
    Violation,
)
from service.kit.json_values import join_pointer
from service.schema import Schema
from service.schema.check import MAXIMUM_NAME_BYTES

SYSTEM_NAMES = frozenset({"id", *SYSTEM_FIELDS})
SURELY_SHORT_CHARACTERS = MAXIMUM_NAME_BYTES // 4

_LEGAL_NAME = re.compile(r"[^_$.\0][^.\0]*", re.DOTALL).fullmatch
_HOLDERS = (dict, list)


def own_members(body: Any, present: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a body's own members, without the system fields, which may only repeat their present values.

    `present` is the stored document as JSON, None for a new one, which has no system fields yet. Raises
    DocumentInvalid for a body that is not an object or has an illegal name at any depth, FieldNotWritable
    for a system field with another value.
    """
    if not isinstance(body, dict):
        raise invalid([Violation("the document is not an object", "type", pointer="")])
    changed = [
        Violation(f"`{name}` is kept by the service", "system_field", pointer=f"/{name}")
        for name in body.keys() & SYSTEM_NAMES
        if present is None or body[name] != present.get(name)
    ]
    if changed:
        raise refused(changed)
    own = {name: value for name, value in body.items() if name not in SYSTEM_NAMES}
    if not _has_legal_names(own):
        raise invalid(list(islice(_illegal_names(own), MAXIMUM_VIOLATIONS)))
    return own


def check(collection: Collection, schema: Schema, document: dict[str, Any]) -> None:
    """Check own members against a collection's schema, as somebody has it; raises DocumentInvalid."""
    violations = schema.violations(document)
    violations = violations or schemas.model_violations(collection.model, document)
    if violations:
        raise invalid(violations)


def invalid(violations: list[Violation]) -> DocumentInvalid:
    """Make the failure that reports violations of the schema."""
    return DocumentInvalid(_summary(violations, "are invalid"), errors=violations)


def refused(violations: list[Violation]) -> Failure:
    """Make the failure that reports fields which cannot be written."""
    return FieldNotWritable(_summary(violations, "cannot be written"), errors=violations)


def _summary(violations: list[Violation], said: str) -> str:
    if len(violations) == 1:
        return f"{violations[0].pointer or 'The document'}: {violations[0].detail}"
    return f"{len(violations)} fields {said}"


def _has_legal_names(value: Any) -> bool:
    """Return whether `_illegal_names` finds none, at a third of its cost: so it is with nearly all bodies."""
    if type(value) is list:
        return all(type(member) not in _HOLDERS or _has_legal_names(member) for member in value)
    for name, member in value.items():
        if not _LEGAL_NAME(name) or (len(name) > SURELY_SHORT_CHARACTERS and _is_long(name)):
            return False
        if type(member) in _HOLDERS and not _has_legal_names(member):
            return False
    return True


def _illegal_names(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Violation]:
    """Find names that have a meaning of their own, or are so long that pointers with them would be a burden.

    The depth was bounded by the reader of the JSON.
    """
    if isinstance(value, dict):
        for name, member in value.items():
            if _is_long(name):
                detail = f"`{name[:80]}`… is a name of more than {MAXIMUM_NAME_BYTES} bytes"
                yield Violation(detail, "name", pointer=join_pointer(path))
                continue
            if not _LEGAL_NAME(name):
                shown = name.replace("\0", "\\0")[:80]
                yield Violation(
                    f"`{shown}` cannot be the name of a field", "name", pointer=join_pointer((*path, name))
                )
            if isinstance(member, dict | list):
                yield from _illegal_names(member, (*path, name))
    else:
        for position, member in enumerate(value):
            if isinstance(member, dict | list):
                yield from _illegal_names(member, (*path, position))


def _is_long(name: str) -> bool:
    return len(name) > SURELY_SHORT_CHARACTERS and len(name.encode()) > MAXIMUM_NAME_BYTES
