"""References to documents of earlier operations: `{"_ref": "author"}` stands for the id.

No document can hold such an object, for names that begin with `_` are not a client's to give.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from service.kit.pointers import join
from service.schema.check import MAXIMUM_NAME_BYTES

REFERENCE = "_ref"

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)

MAXIMUM_REFERENCES = 1000
"""References in one batch, each of which may put a long id in the place of a short name."""


def is_reference(value: Any) -> bool:
    """Tell whether a value is a reference, be it a malformed one.

    >>> is_reference({"_ref": "author"}), is_reference({"name": "Ann"})
    (True, False)
    """
    return isinstance(value, dict) and REFERENCE in value


def find(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Give each reference within a value: where it is, and the name in it, None when it is malformed.

    Names that are too long for a field, which is refused later, are cut in the pointers.

    >>> list(find({"a": [{"_ref": "x"}, {"_ref": "x", "b": 1}]}, ""))
    [('/a/0', 'x'), ('/a/1', None)]
    """
    for path, name in _find(value, ()):
        yield pointer + join(path), name


def _find(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if is_reference(value):
        name = value[REFERENCE]
        yield path, name if isinstance(name, str) and len(value) == 1 else None
    elif isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, dict | list):
                yield from _find(part, (*path, name[:MAXIMUM_NAME_BYTES]))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, dict | list):
                yield from _find(part, (*path, index))


def resolve(value: Any, known: Mapping[str, Any]) -> Any:
    """Give a value with ids in the place of references; raises KeyError for a name that is not known.

    >>> resolve({"a": [{"_ref": "x"}, 1]}, {"x": "5f"})
    {'a': ['5f', 1]}
    """
    if is_reference(value):
        return known[value[REFERENCE]]
    if isinstance(value, dict):
        return {name: resolve(part, known) for name, part in value.items()}
    if isinstance(value, list):
        return [resolve(part, known) for part in value]
    return value
