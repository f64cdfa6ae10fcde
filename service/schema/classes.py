"""Code-first classes: their JSON Schema, and the validators of their own that no schema can say."""

import keyword
from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from operator import or_
from types import new_class
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson
from beanie import DecimalAnnotation, Document, PydanticObjectId
from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import SchemaValidator, core_schema

from models.base import Stored
from service.kit.errors import Violation
from service.kit.json_values import join_pointer
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


_NOT_OURS = frozenset({"id", "revision_id", *Stored.model_fields})
_LIBRARIES = ("pydantic", "beanie", "bson")
_TEXTS = ("decimal", "date", "datetime", "time", "timedelta")
_BOUNDS = frozenset({"gt", "ge", "lt", "le", "multiple_of", "max_digits", "decimal_places", "now_op"})
"""What pydantic demands of values that are text in JSON, whose schema has no keyword for it."""

_JUDGES: WeakKeyDictionary[type[Document], SchemaValidator | None] = WeakKeyDictionary()


class _Generator(GenerateJsonSchema):
    """Writes pydantic's models in Sheaf's formats, closed to undeclared members, without what Beanie adds."""

    _is_document = False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        self._is_document = issubclass(schema["cls"], Document)
        written = super().model_schema(schema)
        is_open = schema["cls"].model_config.get("extra") == "allow"
        return {"additionalProperties": is_open} | written

    def model_fields_schema(self, schema: core_schema.ModelFieldsSchema) -> JsonSchemaValue:
        if self._is_document:
            self._is_document = False  # the models below have fields of their own, perhaps an `id`
            own = {name: field for name, field in schema["fields"].items() if name not in _NOT_OURS}
            schema = {**schema, "fields": own}
        return super().model_fields_schema(schema)

    def json_or_python_schema(self, schema: core_schema.JsonOrPythonSchema) -> JsonSchemaValue:
        if str(schema.get("ref", "")).startswith("PydanticObjectId"):
            return {"type": "string", "format": "objectid"}
        return super().json_or_python_schema(schema)

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:  # noqa: ARG002  # bounds of a text
        return {"type": "string", "format": "decimal"}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        factory = schema.get("default_factory")
        if factory in (list, dict):
            schema = {**schema, "default": factory()}
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # never: the name says it
        return False


def of_model(model: type[Document]) -> dict[str, Any]:
    """Return the JSON Schema of a code-first class: what clients may send, without `id` and system fields.

    Objects take no undeclared members unless their class has `extra="allow"`. Default factories other than
    `list` and `dict` cannot be said in a schema: such a field is optional and stays absent.
    """
    written: dict[str, Any] = model.model_json_schema(
        by_alias=True, schema_generator=_Generator, mode="validation"
    )
    return {"type": "object"} | written  # a class that contains itself is written as a bare reference


def model_violations(model: type[Document], document: dict[str, Any]) -> list[Violation]:
    """Run a class's own validators on a body that its schema accepts, and give what they refuse.

    They judge only: what they would change in the values is not taken over.
    """
    judge = _judge(model)
    if judge is None:
        return []
    try:
        judge.validate_json(orjson.dumps(document))
    except ValidationError as error:
        return [_violation(each["loc"], each["type"], each["msg"], document) for each in error.errors()]
    return []


def _judge(model: type[Document]) -> SchemaValidator | None:
    """Return a validator that makes plain instances of a class, no database and no id, where it needs one."""
    if model not in _JUDGES:
        schema = model.__pydantic_core_schema__
        is_needed = any(map(_says_more, _parts(schema)))
        _JUDGES[model] = SchemaValidator(_plain(schema)) if is_needed else None
    return _JUDGES[model]


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    if isinstance(schema, dict | list | tuple):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from _parts(part)


def _says_more(part: dict[str, Any]) -> bool:
    kind = part.get("type")
    if isinstance(kind, str) and kind.startswith("function-") and isinstance(part.get("function"), dict):
        module = str(getattr(part["function"]["function"], "__module__", ""))
        return module.partition(".")[0] not in _LIBRARIES
    return kind in _TEXTS and not _BOUNDS.isdisjoint(part)


def _plain(part: Any) -> Any:
    """Copy a core schema so that the class's `__init__`, Beanie's, is passed by, and its id not asked for."""
    if isinstance(part, list):
        return [_plain(each) for each in part]
    if not isinstance(part, dict):
        return part
    copied = {name: _plain(value) for name, value in part.items()}
    if part.get("type") == "model" and issubclass(part["cls"], Document):
        copied["custom_init"] = False
    if part.get("type") == "model-fields" and "id" in part["fields"] and "revision_id" in part["fields"]:
        absent = core_schema.with_default_schema(core_schema.any_schema(), default=None)
        copied["fields"]["id"] = {**copied["fields"]["id"], "schema": absent}
    return copied


def _violation(location: tuple[str | int, ...], kind: str, message: str, document: Any) -> Violation:
    if kind == "missing":
        return Violation(f"`{location[-1]}` is required", "required", pointer=join_pointer(location))
    path: list[str | int] = []
    for part in location:  # a location also names alternatives of a union, which are not in the document
        is_there = (isinstance(document, dict) and part in document) or (
            isinstance(document, list) and isinstance(part, int) and part < len(document)
        )
        if is_there:
            path.append(part)
            document = document[part]
    detail = message.removeprefix("Value error, ").removeprefix("Assertion failed, ").partition("\n")[0]
    return Violation(detail, "validator", pointer=join_pointer(path))
