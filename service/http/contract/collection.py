"""One collection for the contract: the schemas that its operations refer to, its examples, its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.access.decisions import Decision
from service.access.rules import Verb
from service.access.rules.words import OWNER_PATH
from service.collections.registry import Collection
from service.http.contract import examples, filters, views
from service.http.contract.formats import IDS
from service.http.contract.operations import data
from service.http.contract.rewriting import Rewriter
from service.http.contract.schemas import base_name, reference
from service.query import masks
from service.query.fields import Field
from service.query.masks import Mask
from service.query.tree import And, Compare, Node, Selection
from service.schema.field_tree import reachable
from service.schema.subschemas import Subschemas, collect

Schema = dict[str, Any]
Selections = frozenset[Selection | None]

MANY = 10**9
"""More subschemas than a checked schema has."""

_IN_PLACE = ("allOf", "anyOf", "oneOf", "prefixItems")
_EXAMPLES = ("default", "examples")


@dataclass(frozen=True, slots=True)
class Audience:
    """The fields that some verb shows or takes (`named`) and that lists may be asked for (`asked`).

    `gets_whole` tells whether the answer to a write always shows the whole document.
    """

    named: Selections = frozenset({None})
    asked: Selections = frozenset({None})
    gets_whole: bool = True

    @property
    def mask(self) -> Mask:
        """Return the mask of what is described."""
        return masks.of_selections(self.named)

    def fields(self, root: Field) -> Field:
        """Return the fields that filters are described for."""
        return root if None in self.asked else masks.fields_of(root, self.asked)

    def subschemas(self, source: Schema) -> Subschemas:
        """Return the subschemas of a schema without what is not to be described, as far as that stands in it.

        What other parts refer to stays: then the description may allow more than there is.
        """
        described = collect(_pruned(source, self.mask), MANY)
        return collect(source, MANY) if described.unresolved else described


def audience_of(decisions: Mapping[Verb, Decision]) -> Audience:
    """Return what decisions by all verbs let a caller see."""
    named = frozenset(grant.fields for decision in decisions.values() for grant in decision.grants)
    asked = frozenset(grant.fields for grant in decisions["list"].grants)
    whole = [grant.where for grant in decisions["get"].grants if grant.fields is None]
    updates = decisions["update"].grants
    gets_whole = None in whole or (
        any(map(_is_own, whole)) and all(_is_own(grant.where) for grant in updates)
    )
    return Audience(named, asked, gets_whole)


def _is_own(where: Node | None) -> bool:
    """Return whether a condition is one that the documents of the caller alone fulfil."""
    match where:
        case Compare(path, "eq", _) if path == OWNER_PATH:
            return True
        case And(parts):
            return any(map(_is_own, parts))
    return False


def _pruned(schema: Any, mask: Mask) -> Any:
    """Return a schema without the members that a mask hides."""
    if mask.shows_all or not isinstance(schema, dict):
        return schema
    written = {keyword: part for keyword, part in schema.items() if keyword not in _EXAMPLES}
    if isinstance(members := schema.get("properties"), dict):
        written["properties"] = {
            name: _pruned(part, mask.of(name))
            for name, part in members.items()
            if not mask.of(name).hides_all
        }
    if isinstance(required := schema.get("required"), list):
        written["required"] = [name for name in required if not mask.of(name).hides_all]
    if "items" in schema:
        written["items"] = _pruned(schema["items"], mask)
    for keyword in _IN_PLACE:
        if isinstance(parts := schema.get(keyword), list):
            written[keyword] = [_pruned(part, mask) for part in parts]
    return written


_SYSTEM: dict[str, Schema] = {
    "_version": {"type": "integer", "readOnly": True, "description": "One more with each write."},
    "_created_at": {"type": "string", "format": "date-time", "readOnly": True},
    "_updated_at": {"type": "string", "format": "date-time", "readOnly": True},
    "_owner": {"type": ["string", "null"], "readOnly": True, "description": "The id of who created it."},
}


class DescribedCollection:
    """A collection, and the schemas of it that have been referred to."""

    def __init__(self, collection: Collection, audience: Audience) -> None:
        self.collection = collection
        self._audience = audience
        self.base = base_name(collection.name)
        self.path = f"/api/{collection.name}"
        self._subschemas = audience.subschemas(collection.description.schema.source)
        self._rewriter = Rewriter(self.base, self._subschemas)
        self._others: dict[str, Schema | bool] = {}
        self.example = examples.to_create(collection, self._subschemas)
        self.read_example = None
        if self.example is not None:
            self.read_example = masks.shown(examples.to_read(collection, self.example), audience.mask)
        self.fields = audience.fields(collection.description.schema.root)
        self.has_references = any(field.collection is not None for field in reachable(self.fields))

    @property
    def schemas(self) -> dict[str, Schema | bool]:
        """Return the schemas that were referred to."""
        return {**self._rewriter.schemas, **self._others}

    def refer(self, view: views.View) -> Schema:
        """Refer to a view of the documents."""
        name = self.base + view.name
        if name not in self._rewriter.schemas:
            self._rewriter.write(view, *self._system(view))
        return reference(name)

    def _system(self, view: views.View) -> tuple[dict[str, Schema], tuple[str, ...]]:
        identity = IDS[self.collection.description.options.id_kind]
        if view is views.CREATE:
            return ({"id": identity} if self.collection.description.options.may_supply_ids else {}), ()
        members = masks.shown({"id": {**identity, "readOnly": True}, **_SYSTEM}, self._audience.mask)
        if view is views.PART:
            return ({**members, **views.EXPANDED} if self.has_references else members), ("id",)
        return members, tuple(members) if view is views.DOCUMENT else ()

    def shown(self) -> Schema:
        """Refer to a document as it is read: whole, or what `fields` and `expand` make of it."""
        return {"anyOf": [self.refer(views.DOCUMENT), self.refer(views.PART)]}

    def after_write(self) -> Schema:
        """Refer to a document as the answer to a write shows it: as far as the caller sees it."""
        return self.refer(views.DOCUMENT) if self._audience.gets_whole else self.shown()

    def whole(self) -> Schema:
        """Return the schema of an answer to a write of one document."""
        return data(self.after_write())

    def answer_example(self) -> Any:
        """Return the example of an answer with a document."""
        return None if self.read_example is None else {"data": self.read_example}

    def filter(self) -> Schema:
        """Refer to the filters of the collection."""
        name = f"{self.base}Filter"
        if name not in self._others:
            self._others |= filters.filter_schemas(self.base, self.fields)
        return reference(name)

    def add(self, name: str, schema: Schema) -> Schema:
        """Add a schema of the collection and refer to it."""
        self._others[self.base + name] = schema
        return reference(self.base + name)

    def rewritten(self, name: str, schema: Schema, view: views.View) -> Schema | bool:
        """Return a schema that stands by itself, such as a parameter's, as a view has it."""
        subschemas = collect(schema, maximum=MANY)
        if subschemas.unresolved:  # it refers to what stands beside it in the definition
            return {"type": schema["type"]}
        rewriter = Rewriter(f"{self.base}.{name}.", subschemas)
        written = rewriter.write_alone(view)
        self._others |= rewriter.schemas
        return written

    @property
    def path_of_one(self) -> str:
        """Return the path of one document."""
        return f"{self.path}/{{id}}"

    @property
    def id_parameter(self) -> str:
        """Return the name of the parameter that the id in a path is."""
        return f"id.{self.collection.description.options.id_kind.value}"

    @property
    def read_parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters that choose what to show of a document."""
        return ("fields", "expand") if self.has_references else ("fields",)
