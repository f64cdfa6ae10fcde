"""A Beanie class for a runtime collection, made from its schema."""

import keyword
from datetime import datetime
from functools import reduce
from operator import or_
from types import new_class
from typing import Any
from uuid import UUID

from beanie import DecimalAnnotation, Document, PydanticObjectId

from models.base import Stored
from service.query.kinds import Kind
from service.schema.compile import Schema

_TYPES: dict[Kind, Any] = {
    Kind.NULL: None,
    Kind.BOOLEAN: bool,
    Kind.INTEGER: int,
    Kind.NUMBER: float,
    Kind.STRING: str,
    Kind.OBJECT: dict[str, Any],
    Kind.ARRAY: list[Any],
    Kind.DATE_TIME: datetime,
    Kind.DATE: datetime,
    Kind.OBJECT_ID: PydanticObjectId,
    Kind.UUID: UUID,
    Kind.INT64: int,
    Kind.DECIMAL: DecimalAnnotation,
    Kind.BINARY: bytes,
}
_TAKEN = frozenset(dir(Document)) | frozenset(dir(Stored)) | {*Document.model_fields, *Stored.model_fields}


def document_class(name: str, version: int | str, schema: Schema, id_type: type) -> type[Document]:
    """Make the document class of a runtime collection's definition version; `init_beanie` comes after.

    Members of the root whose names can be attributes are optional typed fields, so that `Class.price > 3` is
    a query; all others are kept as extras. The class's name is unique per collection and version, because
    Beanie keeps its classes by name, for good.
    """
    annotations = {"id": id_type | None, **_annotations(schema)}
    members = {
        "__module__": __name__,
        "__doc__": f"A document of the collection {name}, version {version} of its definition.",
        "__annotations__": annotations,
        **dict.fromkeys(annotations),
    }
    made: type[Document] = new_class(
        f"{name}__{version}",
        (Stored, Document),
        {"extra": "allow"},
        lambda namespace: namespace.update(members),
    )
    made.Settings = type("Settings", (), {"name": name})
    return made


def _annotations(schema: Schema) -> dict[str, Any]:
    return {
        name: reduce(or_, {_TYPES[kind] for kind in field.kinds if kind is not Kind.NULL}, None)
        for name, field in schema.root.fields.items()
        if _can_be_attribute(name)
    }


def _can_be_attribute(name: str) -> bool:
    is_free = name not in _TAKEN and not name.startswith(("_", "model_"))
    return is_free and name.isidentifier() and not keyword.iskeyword(name)
