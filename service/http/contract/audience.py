"""What of a collection's documents a caller may see, which decides how the contract describes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.access.decisions import Decision
from service.access.rules import Verb
from service.access.rules.words import OWNER_PATH
from service.query import masks
from service.query.fields import Field
from service.query.lists import Selection
from service.query.masks import Mask
from service.query.tree import And, Compare, Node
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


def of_decisions(decisions: Mapping[Verb, Decision]) -> Audience:
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
