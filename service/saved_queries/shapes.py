"""What the documents look like between two stages: which fields there are, and of which kinds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from service.query.fields import Field, find_field
from service.query.kinds import Kind
from service.query.tree import Path
from service.schema.field_tree import leading_to, reachable

MAXIMUM_HIDDEN_PATHS = 500
MAXIMUM_HIDDEN_DEPTH = 20

ANYTHING = Field(frozenset(Kind))
"""A field of which nothing is known."""

HIDDEN = Field(write_only=True)
"""What stands in a shape for a field that was taken away."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The documents at one point of a pipeline: their fields, and which of them tell one from the others."""

    root: Field
    keys: tuple[str, ...] = ()

    def find(self, text: str) -> tuple[str, Field] | None:
        """Find what a dotted path gives as an expression: MongoDB's path without `$`, and the Field of it.

        A path through an array gives an array. None for what is absent, hidden, or an array's position.
        """
        found = find_field(self.root, text)
        if found is None:
            return None
        path, field = found
        above = [self.root.resolve(path[:length]) or ANYTHING for length in range(len(path))]
        holders = zip(above, path, strict=True)
        if any(name.isdecimal() and holder.items is not None for holder, name in holders):
            return None
        arrays = [holder for holder in above if Kind.ARRAY in holder.kinds]
        if arrays:
            own = field.kinds if all(Kind.OBJECT in holder.kinds for holder in arrays) else frozenset()
            field = replace(field, kinds=own | {Kind.ARRAY}, items=field)
        return stored(path), field


def stored(path: Path) -> str:
    """Return a path as MongoDB has it.

    >>> stored(("id",)), stored(("parts", "id"))
    ('_id', 'parts.id')
    """
    return "_id" if path == ("id",) else ".".join(path)


def of_members(members: Mapping[str, Field], keys: tuple[str, ...] = ()) -> Shape:
    """Return the shape of documents that a stage makes anew."""
    return Shape(Field(frozenset({Kind.OBJECT}), fields=dict(members)), keys)


def with_member(root: Field, path: Path, field: Field) -> Field:
    """Return a document's Field with another one at a path through objects."""
    name, *rest = path
    below = root.resolve((name,)) or ANYTHING
    member = with_member(below, tuple(rest), field) if rest else field
    return replace(root, fields={**root.fields, name: member})


@lru_cache(maxsize=256)
def without_hidden(root: Field) -> tuple[Field, tuple[dict[str, Any], ...]]:
    """Return a collection's Field and the stages that take away every write-only member, at any depth.

    Where such members cannot be named one by one (below undeclared names, in schemas that contain
    themselves), what holds them is taken away as a whole.
    """
    hidden = leading_to(reachable(root), lambda field: field.write_only)
    if root not in hidden:
        return root, ()
    cut = _Cut(hidden)
    stages: list[dict[str, Any]] = []
    if root.others in hidden:
        declared = {stored((name,)): 1 for name, member in root.fields.items() if not member.write_only}
        stages.append({"$project": {"_id": 1} | declared})
        root = replace(root, others=None)
    visible = cut.members(root, (), frozenset({root}))
    paths = [path for path in cut.paths if not any(path[:length] in cut.paths for length in range(len(path)))]
    if paths:
        stages.append({"$unset": sorted(map(".".join, paths))})
    return visible, tuple(stages)


class _Cut:
    """Copies Fields without what is hidden, and notes the paths that are cut off."""

    def __init__(self, hidden: frozenset[Field]) -> None:
        self._hidden = hidden
        self.paths: set[Path] = set()

    def members(self, field: Field, path: Path, above: frozenset[Field]) -> Field:
        """Copy an object's Field; `above` are the Fields that hold it."""
        fields = {}
        for name, member in field.fields.items():
            below = (*path, name)
            fields[name] = self._field(member, below, above)
            if fields[name] is HIDDEN:
                self.paths.add(below)
        return replace(field, fields=fields)

    def _field(self, field: Field, path: Path, above: frozenset[Field]) -> Field:
        """Copy a Field; HIDDEN when it has to go as a whole."""
        if field not in self._hidden:
            return field
        is_endless = field in above or len(path) > MAXIMUM_HIDDEN_DEPTH
        if field.write_only or is_endless or field.others in self._hidden:
            return HIDDEN
        if len(self.paths) > MAXIMUM_HIDDEN_PATHS:
            return HIDDEN
        above |= {field}
        copied = self.members(field, path, above)
        if field.items is None:
            return copied
        items = self._field(field.items, path, above)
        return HIDDEN if items is HIDDEN else replace(copied, items=items)
