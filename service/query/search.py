"""Text search: what `q` becomes in MongoDB, and the refusal where nothing can be searched."""

from collections.abc import Iterator
from typing import Any

from service.kit.errors import ParameterInvalid, Violation
from service.query.fields import Field
from service.query.kinds import Kind
from service.query.mongo import Filter

_SUGGESTED_FIELDS = 3


def searched(where: Filter, text: str) -> Filter:
    """And a filter with a search for text; MongoDB takes `$text` at the top of a filter only.

    The text has MongoDB's own small language: words of which one must be there, `"a phrase"` that must be
    there, `-word` that must not.

    >>> searched({"price": {"$gt": 1}}, "oak desk")
    {'$text': {'$search': 'oak desk'}, '$and': [{'price': {'$gt': 1}}]}
    """
    found: Filter = {"$text": {"$search": text}}
    return found | {"$and": [where]} if where else found


def best_first() -> list[tuple[str, Any]]:
    """Return the driver's sort for the best matches first; those that match alike are in the order of ids."""
    return [("score", {"$meta": "textScore"}), ("_id", 1)]


def unsearchable(fields: Field) -> ParameterInvalid:
    """Return the refusal of `q` for a collection without a text index, which names the index to add."""
    names = ", ".join(f'"{name}"' for name in list(_texts(fields))[:_SUGGESTED_FIELDS])
    detail = "`q` needs a text index, and this collection has none"
    hint = f'Add the index {{"text": [{names}]}} to the collection.' if names else None
    violation = Violation(detail, "not_indexed", parameter="q", hint=hint)
    return ParameterInvalid(detail, hint=hint, errors=[violation])


def _texts(fields: Field) -> Iterator[str]:
    """Yield the names of the fields that clients may see and that hold text, alone or in an array."""
    for name, field in fields.fields.items():
        if name.startswith("_") or name == "id" or field.write_only:
            continue
        items = field.items
        is_list = items is not None and Kind.STRING in items.kinds and not items.write_only
        if Kind.STRING in field.kinds or is_list:
            yield name
