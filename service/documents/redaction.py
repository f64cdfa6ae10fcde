"""Redaction: a document as somebody has it who does not see all of it. A change tells nothing of the rest.

What is not seen is not left out, for it has to stay where it is when arrays are moved about. Placeholders
that nobody can guess take its place while the change is made, and it takes theirs again in the result. So
neither what comes of a change nor how long it takes depends on what they stand for.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any, Final

from service.documents import encoding
from service.documents.body import SYSTEM_NAMES
from service.kit.errors import PatchConflict
from service.query.fields import Field
from service.query.masks import Mask
from service.schema import Schema
from service.schema.encoding import member

_NOTHING: Final = object()


class Redacted:
    """A document as JSON, `document`, with placeholders for what its reader does not see of it, there or not.

    That is what `mask` leaves out, and what is write-only. What is not there and might be has a placeholder
    too, or who takes it away would hear whether it was there.
    """

    def __init__(self, document: dict[str, Any], schema: Schema, mask: Mask) -> None:
        self.mask = mask
        self._schema = schema
        self._values: dict[str, Any] = {}
        self._secret = secrets.token_hex(16)
        self.document = self._members(document, schema.root, mask)

    def carried(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result in which the elements of arrays replaced as a whole keep what is not seen.

        Each element keeps what belongs to the one that was equal to it, as far as it was seen; of two arrays
        of one length, those that are left keep what belongs to their positions.
        """
        return _carried_members(self._values, self.document, result)

    def restored(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result with the values themselves in the place of their placeholders.

        Raises PatchConflict where one stands at a place that is seen, to which the change has brought it.
        """
        restored: dict[str, Any] = self._restored(result, self._schema.root, self.mask)
        return restored

    def size_bytes(self, result: dict[str, Any]) -> int:
        """Count the bytes of a result as JSON, without those of what is not seen."""
        return len(encoding.dump(_seen(self._values, result)))

    def _placeholder(self, value: Any) -> str:
        text = f"{self._secret}{len(self._values)}"
        self._values[text] = value
        return text

    def _members(self, members: dict[str, Any], field: Field | None, mask: Mask) -> dict[str, Any]:
        redacted = {
            name: self._value(part, _below(field, name), mask.of(name)) for name, part in members.items()
        }
        declared = () if field is None else field.fields
        for name in dict.fromkeys((*declared, *mask.members)):
            is_possible = name not in members and name not in SYSTEM_NAMES
            if is_possible and _is_hidden(_below(field, name), mask.of(name)):
                redacted[name] = self._placeholder(_NOTHING)
        return redacted

    def _value(self, value: Any, field: Field | None, mask: Mask) -> Any:
        if _is_hidden(field, mask):
            return self._placeholder(value)
        if mask.shows_all and not self._schema.hides_below(field):
            return value
        if isinstance(value, dict):
            return self._members(value, field, mask)
        if isinstance(value, list):
            return [self._value(each, None if field is None else field.items, mask) for each in value]
        return value if mask.rest else self._placeholder(value)

    def _restored(self, value: Any, field: Field | None, mask: Mask) -> Any:
        if isinstance(value, dict):
            members = (
                (name, self._restored(part, _below(field, name), mask.of(name)))
                for name, part in value.items()
            )
            return {name: part for name, part in members if part is not _NOTHING}
        if isinstance(value, list):
            items = None if field is None else field.items
            elements = (self._restored(each, items, mask) for each in value)
            return [each for each in elements if each is not _NOTHING]
        if not _is_placeholder(self._values, value):
            return value
        if mask.rest and not _is_hidden(field, mask):
            raise PatchConflict("The patch takes a value from where there is none")
        return self._values[value]


def _below(field: Field | None, name: str) -> Field | None:
    return None if field is None else member(field, name)


def _is_hidden(field: Field | None, mask: Mask) -> bool:
    return mask.hides_all or (field is not None and field.write_only)


Values = dict[str, Any]


def _holds(values: Values, value: Any) -> bool:
    """Return whether a value is or has a placeholder."""
    if isinstance(value, dict):
        return any(_holds(values, part) for part in value.values())
    if isinstance(value, list):
        return any(_holds(values, each) for each in value)
    return isinstance(value, str) and value in values


def _is_placeholder(values: Values, value: Any) -> bool:
    return isinstance(value, str) and value in values


def _seen(values: Values, value: Any) -> Any:
    """Return a value without placeholders."""
    if isinstance(value, dict):
        return {
            name: _seen(values, part) for name, part in value.items() if not _is_placeholder(values, part)
        }
    if isinstance(value, list):
        return [_seen(values, each) for each in value if not _is_placeholder(values, each)]
    return value


def _carried(values: Values, before: Any, after: Any) -> Any:
    if isinstance(before, dict) and isinstance(after, dict):
        return _carried_members(values, before, after)
    if isinstance(before, list) and isinstance(after, list) and after is not before:
        return _carried_elements(values, before, after)
    return after


def _carried_members(values: Values, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _carried(values, before[name], part) if name in before else part for name, part in after.items()
    }


def _carried_elements(values: Values, before: list[Any], after: list[Any]) -> list[Any]:
    if not _holds(values, before) or _holds(values, after):
        return after
    text: Callable[[Any], str] = lambda value: json.dumps(_seen(values, value), sort_keys=True)  # noqa: E731
    waiting: dict[str, list[int]] = {}
    for position in reversed(range(len(before))):
        waiting.setdefault(text(before[position]), []).append(position)
    found = [positions.pop() if (positions := waiting.get(text(each))) else None for each in after]
    left = {position for positions in waiting.values() for position in positions}
    if len(before) == len(after):
        found = [at if at is not None else here if here in left else None for here, at in enumerate(found)]
    return [
        each if at is None else _with_placeholders(values, before[at], each)
        for at, each in zip(found, after, strict=True)
    ]


def _with_placeholders(values: Values, before: Any, after: Any) -> Any:
    """Return an element with what was not seen of the one that it was."""
    if isinstance(before, dict) and isinstance(after, dict):
        kept = {name: part for name, part in before.items() if _is_placeholder(values, part)}
        return {
            **{name: part for name, part in kept.items() if name not in after},
            **{
                name: _with_placeholders(values, before[name], part) if name in before else part
                for name, part in after.items()
            },
        }
    return _carried(values, before, after)
