"""JSON merge patches (RFC 7396): an object that looks like the document, with null for what shall go."""

from typing import Any

from service.documents.body import SYSTEM_NAMES
from service.kit.errors import PatchInvalid, Violation


def read(body: Any) -> "MergePatch":
    """Read a merge patch for a document; raises PatchInvalid for one that is not an object."""
    if not isinstance(body, dict):
        detail = "A merge patch for a document is an object"
        raise PatchInvalid(detail, errors=[Violation(detail, "type", pointer="")])
    return MergePatch(body)


class MergePatch:
    """A merge patch of documents."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        # A null for a system field is a value to refuse, not a wish to remove it.
        self._system = {name: value for name, value in body.items() if name in SYSTEM_NAMES}

    def __call__(self, document: dict[str, Any], *_: Any) -> dict[str, Any]:
        """Return the document as the patch makes it."""
        return {**merge(document, self._body), **self._system}


def merge(target: Any, patch: Any) -> Any:
    """Apply a merge patch to any JSON value and give the result; `target` is left as it was.

    >>> merge({"a": "b", "c": {"d": 1, "e": 2}}, {"a": "z", "c": {"e": None}})
    {'a': 'z', 'c': {'d': 1}}
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
