"""An example of a collection's documents: made from the schema, and given only when the schema accepts it."""

from typing import Any

import orjson

from service.collections.registry import Collection
from service.documents import encoding
from service.query.kinds import Kind
from service.schema.subschemas import REFERENCES, Subschemas

_TEXTS = {
    "date-time": "2026-11-22T12:00:00.000Z",
    "date": "2026-11-22",
    "time": "12:00:00Z",
    "duration": "P1D",
    "objectid": "5eb7cf5a86d9755df3a6c593",
    "uuid": "2eb8aa08-aa98-41ea-b4aa-73b441d16380",
    "int64": "9007199254740993",
    "decimal": "12.50",
    "binary": "aGk=",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/path",
    "iri": "https://example.com/",
    "iri-reference": "/path",
    "uri-template": "/{path}",
    "json-pointer": "/path",
    "relative-json-pointer": "0/path",
    "regex": "^a$",
}
IDS: dict[Kind, Any] = {
    Kind.OBJECT_ID: "5eb7cf5a86d9755df3a6c594",
    Kind.UUID: "2eb8aa08-aa98-41ea-b4aa-73b441d16381",
    Kind.STRING: "an-id",
    Kind.INTEGER: 1,
}
TIME = "2026-11-22T12:00:00.000Z"
MAXIMUM_DEPTH = 6
MAXIMUM_LETTERS = 200


class _NoExample(Exception):
    """No example of a subschema could be made."""


def to_create(collection: Collection, subschemas: Subschemas) -> dict[str, Any] | None:
    """Return a body that creates a document of a collection; None when none was found that is valid.

    It has the required members and those others of which there is an example; when the schema does not take
    all of them together, the required ones alone.
    """
    schema = collection.description.schema
    for is_whole in (True, False):
        try:
            example = _Maker(subschemas, is_whole=is_whole).value("")
        except _NoExample:
            continue
        if not isinstance(example, dict) or schema.read_only_violations(example, None):
            continue
        if not schema.violations(schema.with_defaults(example)):
            return example
    return None


def to_read(collection: Collection, created: dict[str, Any]) -> dict[str, Any]:
    """Return what is read after such a body has created a document."""
    schema = collection.description.schema
    stored = schema.encode(schema.with_defaults(created))
    shown: dict[str, Any] = orjson.loads(encoding.dump(encoding.view(collection, {"_id": 0, **stored})))
    system = {"_version": 1, "_created_at": TIME, "_updated_at": TIME, "_owner": None}
    return {**shown, "id": IDS[collection.description.options.id_kind], **system}


class _Maker:
    """Makes example values of the subschemas of one schema."""

    def __init__(self, subschemas: Subschemas, *, is_whole: bool) -> None:
        self._subschemas = subschemas
        self._is_whole = is_whole

    def value(self, pointer: str, depth: int = 0) -> Any:
        """Return an example value of a subschema; raises _NoExample."""
        schema = self._subschemas.schemas[pointer]
        if schema is True:
            return "anything"
        if schema is False or depth > MAXIMUM_DEPTH:
            raise _NoExample
        for keyword in ("const", "default"):
            if keyword in schema:
                return schema[keyword]
        for keyword in ("examples", "enum"):
            if schema.get(keyword):
                return schema[keyword][0]
        return self._made(pointer, schema, depth)

    def _made(self, pointer: str, schema: dict[str, Any], depth: int) -> Any:
        here = self._steps(pointer, *REFERENCES, "allOf")
        alternatives = self._steps(pointer, "anyOf", "oneOf")
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if not types and not schema.get("properties"):
            for target in (*here, *alternatives):
                return self.value(target, depth)
        kind = next((each for each in types if each != "null"), "null" if types else "object")
        if kind == "object":
            members: dict[str, Any] = {}
            for target in (*here, *alternatives[:1]):
                part = self.value(target, depth)
                members |= part if isinstance(part, dict) else {}
            return members | self._members(pointer, schema, depth)
        if kind == "array":
            return self._elements(pointer, schema, depth)
        if not schema.get("format") and (here or alternatives):
            return self.value((*here, *alternatives)[0], depth)
        return _scalar(kind, schema)

    def _members(self, pointer: str, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        members: dict[str, Any] = {}
        for step in self._subschemas.steps[pointer]:
            if step.keyword != "properties":
                continue
            name = str(step.name)
            part = self._subschemas.schemas[step.target]
            is_fixed = isinstance(part, dict) and part.get("readOnly") is True
            if is_fixed or not (self._is_whole or name in required):
                continue
            try:
                members[name] = self.value(step.target, depth + 1)
            except _NoExample:
                if name in required:
                    raise
        return members

    def _elements(self, pointer: str, schema: dict[str, Any], depth: int) -> list[Any]:
        elements = [self.value(target, depth + 1) for target in self._steps(pointer, "prefixItems")]
        items = self._steps(pointer, "items")
        wanted = max(schema.get("minItems", 0), 1 if self._is_whole else 0)
        if items and len(elements) < min(wanted, 10):
            try:
                elements += [self.value(items[0], depth + 1)] * (wanted - len(elements))
            except _NoExample:
                if schema.get("minItems"):
                    raise
        return elements

    def _steps(self, pointer: str, *keywords: str) -> list[str]:
        return [step.target for step in self._subschemas.steps[pointer] if step.keyword in keywords]


def _scalar(kind: str, schema: dict[str, Any]) -> Any:
    if kind == "null":
        return None
    if kind == "boolean":
        return True
    return _text(schema) if kind == "string" else _number(kind, schema)


def _text(schema: dict[str, Any]) -> str:
    if (known := _TEXTS.get(str(schema.get("format")))) is not None:
        return known
    if schema.get("minLength", 0) > MAXIMUM_LETTERS:
        raise _NoExample
    text = "text".ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]


def _number(kind: str, schema: dict[str, Any]) -> int | float:
    step = schema.get("multipleOf", 1 if kind == "integer" else 0.5)
    lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
    highest = schema.get("maximum", schema.get("exclusiveMaximum"))
    if lowest is None:
        lowest = 0 if highest is None or highest > 0 else highest - step
    number = (lowest // step + 1) * step
    return int(number) if kind == "integer" else number
