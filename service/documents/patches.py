"""Patches of JSON values."""

from typing import Any


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396) and give the result; `target` is left as it was.

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
