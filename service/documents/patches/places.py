"""Places in a document as JSON, with the Fields that the schema has for them: what may be seen is walked."""

import json
import re
from typing import Any

from service.query.fields import Field
from service.schema.encoding import member

_INDEX = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)


class Missing(Exception):
    """There is no such place, or one that nobody may see, which must not make a difference."""


def field_below(field: Field | None, container: Any, step: str) -> Field | None:
    """Return the Field of a member or an element; None when the schema has none."""
    if field is None:
        return None
    return field.items if isinstance(container, list) else member(field, step)


def is_hidden(field: Field | None) -> bool:
    """Return whether what is at a Field may not be seen."""
    return field is not None and field.write_only


def index(array: list[Any], step: str) -> int:
    """Return the position that a step names, of an element that is there; raises Missing.

    >>> index(["a", "b"], "1")
    1
    """
    if not _INDEX.fullmatch(step) or int(step) >= len(array):
        raise Missing
    return int(step)


def child(container: Any, step: str) -> Any:
    """Return the member or element of a step; raises Missing.

    >>> child({"a": [5]}, "a"), child([5], "0")
    ([5], 5)
    """
    if isinstance(container, dict) and step in container:
        return container[step]
    if isinstance(container, list):
        return container[index(container, step)]
    raise Missing


def fresh(value: Any) -> Any:
    """Return a copy of a JSON value that shares no object or array with it."""
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value
