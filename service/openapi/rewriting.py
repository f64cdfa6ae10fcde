"""A collection's schema, rewritten for each view into schemas of the contract that refer to each other."""

from typing import Any

from service.openapi import names, views, wire
from service.openapi.annotations import Annotations, annotate
from service.openapi.views import Schema, View
from service.schema.subschemas import IN_PLACE, REFERENCES, Subschemas

_SINGLE = frozenset(
    {
        "not", "if", "then", "else", "additionalProperties", "unevaluatedProperties", "propertyNames",
        "items", "unevaluatedItems", "contains",
    }
)  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_ELEMENTS = frozenset({"items", "prefixItems", "unevaluatedItems", "contains"})
_MEMBERS = frozenset({"properties", "patternProperties", "additionalProperties", "unevaluatedProperties"})
_PLAIN = frozenset(
    {
        "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
        "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains",
        "minContains", "maxProperties", "minProperties", "required", "dependentRequired", "format",
        "contentEncoding", "contentMediaType", "title", "description", "default", "deprecated", "readOnly",
        "writeOnly", "examples",
    }
)  # fmt: skip
"""Keywords that are kept as they are; others are kept when they begin with `x-`, as OpenAPI asks."""


class Rewriter:
    """Rewrites one collection's schema; `schemas` are those of the contract that came of it, by name."""

    def __init__(self, base: str, subschemas: Subschemas) -> None:
        self.schemas: dict[str, Schema | bool] = {}
        self._base = base
        self._subschemas = subschemas
        self._annotations: Annotations = annotate(subschemas)
        self._children = {
            (pointer, step.keyword, step.name): step.target
            for pointer, steps in subschemas.steps.items()
            for step in steps
        }
        self._rules: dict[View, _Rules] = {}
        self._waiting: list[tuple[View, str]] = []

    def write(self, view: View, system: dict[str, Schema], required: tuple[str, ...] = ()) -> str:
        """Add the schemas of a view, whose documents have `system` members too; gives the first's name."""
        name = self._base + view.name
        root = self._rewritten(view, "", system)
        if isinstance(root, dict):
            members = root.pop("properties", {})
            demanded = [*required, *root.pop("required", ())]
            root = {"type": "object", **({"required": demanded} if demanded else {}), **root}
            own = {name: part for name, part in members.items() if name not in system}
            root["properties"] = {**system, **own}
        self.schemas[name] = root
        self._write_referred()
        return name

    def write_alone(self, view: View) -> Schema | bool:
        """Give the schema as a view has it, as no document's; adds those that it refers to."""
        written = self._rewritten(view, "", None)
        self._write_referred()
        return written

    def _write_referred(self) -> None:
        while self._waiting:
            next_view, pointer = self._waiting.pop()
            named = self._rules_of(next_view).names[pointer]
            if named not in self.schemas:
                self.schemas[named] = {}  # known from here on, for schemas that refer to themselves
                self.schemas[named] = self._rewritten(next_view, pointer, None)

    def _rules_of(self, view: View) -> "_Rules":
        if view not in self._rules:
            self._rules[view] = _Rules(view, self._annotations, self._base)
        return self._rules[view]

    def _rewritten(
        self, view: View, pointer: str, system: dict[str, Schema] | None, *, is_alternative: bool = False
    ) -> Schema | bool:
        """Rewrite one subschema; `system` are the members that documents have besides, where it is one."""
        schema = self._subschemas.schemas[pointer]
        if isinstance(schema, bool):
            return schema
        written: Schema = {}
        for keyword, part in schema.items():
            if keyword in REFERENCES:
                self._refer(view, pointer, keyword, system, written)
            elif keyword in _MAPS:
                written[keyword] = {
                    name: self._child(view, pointer, keyword, name, system, is_alternative=is_alternative)
                    for name in part
                    if not (keyword in _MEMBERS and self._is_absent(view, pointer, keyword, name))
                }
            elif keyword in _LISTS:
                children = [
                    self._child(view, pointer, keyword, at, system, is_alternative=is_alternative)
                    for at in range(len(part))
                ]
                written[keyword] = [*written.get(keyword, ()), *children]
            elif keyword in _SINGLE:
                written[keyword] = self._child(
                    view, pointer, keyword, None, system, is_alternative=is_alternative
                )
            elif (keyword in _PLAIN or keyword.startswith("x-")) and wire.is_known_elsewhere(keyword, part):
                written[keyword] = part
        written = self._rules_of(view).applied(pointer, written)
        if is_alternative and view.is_patch:
            written = {name: part for name, part in written.items() if name != "additionalProperties"}
        return written if system is None else _with_room(written, system)

    def _refer(
        self, view: View, pointer: str, keyword: str, system: dict[str, Schema] | None, written: Schema
    ) -> None:
        target = self._children[pointer, keyword, None]
        if system is not None:  # at the root the target has other members than elsewhere
            written["allOf"] = [*written.get("allOf", ()), self._rewritten(view, target, system)]
            return
        self._waiting.append((view, target))
        referred = names.reference(self._rules_of(view).names[target])
        if "$ref" in written:
            written["allOf"] = [*written.get("allOf", ()), referred]
        else:
            written |= referred

    def _child(
        self,
        view: View,
        pointer: str,
        keyword: str,
        name: str | int | None,
        system: dict[str, Schema] | None,
        *,
        is_alternative: bool,
    ) -> Schema | bool:
        target = self._children[pointer, keyword, name]
        if keyword in IN_PLACE:
            here = None if keyword == "not" else system
            return self._rewritten(view, target, here, is_alternative=is_alternative or keyword != "allOf")
        if keyword in _ELEMENTS:
            return self._rewritten(view.of_elements, target, None)
        child = self._rewritten(view, target, None)
        if not view.is_patch or keyword not in _MEMBERS:
            return child
        return child if name is None and child is False else views.nullable(child)

    def _is_absent(self, view: View, pointer: str, keyword: str, name: str) -> bool:
        if view.absent is None:
            return False
        return self._children[pointer, keyword, name] in views.pointers_of(view.absent, self._annotations)


class _Rules:
    """What one view makes of the schemas of one collection."""

    def __init__(self, view: View, annotations: Annotations, base: str) -> None:
        self.names = names.below(base + view.name, annotations.referred())
        self._view = view
        self._annotations = annotations
        self._concerned = views.concerned(view, annotations)
        self._optional = frozenset[str]().union(
            *(annotations.names(views.pointers_of(sort, annotations)) for sort in view.optional)
        )

    def applied(self, pointer: str, schema: Schema) -> Schema:
        """Give a subschema, whose parts are written already, as the view has it."""
        view, written = self._view, schema
        if view.is_patch:
            written = views.loosen_for_patches(written)
        elif view.is_partial:
            written = views.loosen_for_parts(written)
        elif pointer in self._concerned:
            written = views.loosen(written)
        if "required" in written:
            written["required"] = [name for name in written["required"] if name not in self._optional]
            if not written["required"]:
                del written["required"]
        if view.name != views.CREATE.name:
            written.pop("default", None)
        if view.is_read and self._annotations.shows_no_elements(pointer):
            written = {**_without(written, "items", "prefixItems", "minItems"), "maxItems": 0}
        if view is views.PART and self._annotations.holds_references(pointer):
            written["properties"] = {**written.get("properties", {}), **views.EXPANDED}
        kind = self._annotations.kinds.get(pointer)
        if kind is not None and view.is_read:
            return wire.as_read(written, kind)
        return wire.told(written, kind) if kind is not None and wire.kind_of(written) else written


def _without(schema: Schema, *keywords: str) -> Schema:
    return {name: part for name, part in schema.items() if name not in keywords}


def _with_room(schema: Schema, system: dict[str, Any]) -> Schema:
    """Give a schema of whole documents in which the system's members have their place."""
    written = _without(schema, "propertyNames", "const", "enum", "maxProperties")
    is_closed = any(
        name in written and written[name] is not True
        for name in ("additionalProperties", "unevaluatedProperties", "patternProperties")
    )
    if not is_closed or not system:
        return written
    if "patternProperties" in written:
        written = _without(written, "patternProperties", "additionalProperties", "unevaluatedProperties")
    own = written.get("properties", {})
    return {**written, "properties": {**dict.fromkeys(system, True), **own}}
