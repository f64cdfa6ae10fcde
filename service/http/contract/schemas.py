"""JSON Schemas of request forms and of answers, from the models that read and write them; their names."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from service.http.bodies import ResponseBody
from service.kit.forms import Form

Schema = dict[str, Any]


Content = type[Form] | type[ResponseBody] | Schema
"""What a body can be described by."""


def describe(content: Content) -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of a body, and the named schemas that it refers to.

    A model is referred to by its name, but for a generic one, such as `Data[…]`, which has none of its own.
    """
    if isinstance(content, dict):
        return content, {}
    written = of_form(content) if issubclass(content, Form) else of_body(content)
    named = written.pop("$defs", {})
    if content.__pydantic_generic_metadata__["args"]:
        written.pop("description", None)
        return written, named
    return reference(content.__name__), {**named, content.__name__: written}


def of_form(form: type[Form]) -> Schema:
    """Return the schema of a request's body, without pydantic's titles and defaults of null."""
    written = form.model_json_schema()
    for part in (written, *written["properties"].values()):
        part.pop("title", None)
        if part.get("default", 0) is None:
            del part["default"]
    return written


def of_body(body: type[ResponseBody]) -> Schema:
    """Return the schema of an answer's body, with named ones that it refers to in `$defs`."""
    written = body.model_json_schema(
        mode="serialization", ref_template=reference("{model}")["$ref"], schema_generator=_Generator
    )
    for part in (written, *written.get("$defs", {}).values()):
        part.pop("title", None)
    return written


class _Generator(GenerateJsonSchema):
    """Pydantic's schemas in fewer words."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # as pydantic names it
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        """Leave defaults out: what is absent from an answer has none."""
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: core_schema.LiteralSchema) -> Schema:
        """Leave the type out, which the values say."""
        written = super().literal_schema(schema)
        written.pop("type", None)
        return written

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        """Leave out that values may be anything."""
        written = super().dict_schema(schema)
        if written.get("additionalProperties") is True:
            del written["additionalProperties"]
        return written

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        """Write null as one type of several where that is possible."""
        written = self.generate_inner(schema["schema"])
        if isinstance(written.get("type"), str) and not written.keys() & {"enum", "const"}:
            return {**written, "type": [written["type"], "null"]}
        return super().nullable_schema(schema)


_AFTER_HYPHEN = re.compile(r"-([a-z])")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


def base_name(collection: str) -> str:
    """Return what the names of a collection's schemas and operations begin with: one for each collection.

    >>> base_name("products"), base_name("blog-posts"), base_name("blog_posts"), base_name("a-1")
    ('Products', 'BlogPosts', 'Blog_posts', 'A-1')
    """
    return collection[:1].upper() + _AFTER_HYPHEN.sub(lambda match: match[1].upper(), collection[1:])


def below(base: str, pointers: Iterable[str]) -> dict[str, str]:
    """Name the subschemas at some pointers after their last part, with numbers where that is not enough.

    >>> below("ProductsCreate", ["/$defs/part", "/properties/part", "/$defs/a b"])
    {'/$defs/part': 'ProductsCreate.part', '/properties/part': 'ProductsCreate.part.2', '/$defs/a b': \
'ProductsCreate.a-b'}
    """
    named: dict[str, str] = {}
    taken: set[str] = set()
    for pointer in pointers:
        last = _NOT_IN_NAMES.sub("-", pointer.rpartition("/")[2]) or "part"
        name, number = f"{base}.{last}", 1
        while name in taken:
            number += 1
            name = f"{base}.{last}.{number}"
        taken.add(name)
        named[pointer] = name
    return named


def reference(name: str) -> dict[str, str]:
    """Return the reference to a schema of the contract."""
    return {"$ref": f"#/components/schemas/{name}"}
