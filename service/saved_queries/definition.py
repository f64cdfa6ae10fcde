"""The member `queries` of a definition: read, checked and compiled, once per definition version."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.kit.errors import DefinitionInvalid
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations, shown
from service.query.fields import Field
from service.saved_queries.limits import (
    DEFAULT_RESULTS,
    MAXIMUM_DESCRIPTION_CHARACTERS,
    MAXIMUM_QUERIES,
    MAXIMUM_QUERIES_BYTES,
    MAXIMUM_RESULTS,
)
from service.saved_queries.parameters import Parameters, compile_parameters
from service.saved_queries.shapes import Shape, without_hidden
from service.saved_queries.stages import FieldsOf, PipelineReader, Stages
from service.schema.encoding import is_told
from service.schema.field_tree import leading_to, reachable

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
MEMBERS = ("description", "parameters", "pipeline", "limit")
KEYS = ("id",)


@dataclass(frozen=True, slots=True, eq=False)
class SavedQuery:
    """One query, compiled.

    For who describes or lists it: `name`, `description` and `parameters.schemas`, a JSON Schema for each
    parameter by its name, without a `default` where it must be given. `limit` bounds the answer,
    `collections` are those that `lookup` reads. `stages` are MongoDB's after the rule's own, with parts for
    each run left open; `root` is the Field of the answer's documents, `told` the Fields there with a text of
    their own.
    """

    name: str
    description: str
    parameters: Parameters
    limit: int
    collections: frozenset[str]
    stages: Stages
    root: Field
    told: frozenset[Field]
    _pipeline: Any
    _schema_root: Field

    def over(self, fields_of: FieldsOf) -> "SavedQuery":
        """Return the same query compiled over the present fields of the collections that it looks up.

        Raises DefinitionInvalid when they do not have what it needs any more.
        """
        if not self.collections:
            return self
        faults = Violations()
        reader, stages = _begin(faults, self.parameters, self._schema_root, fields_of)
        stages += reader.read(self._pipeline, "/pipeline")
        faults.raise_if_any(DefinitionInvalid)
        root = reader.shape.root
        return replace(self, stages=stages, root=root, told=leading_to(reachable(root), is_told))


def parse(queries: Any, root: Field) -> Mapping[str, SavedQuery]:
    """Read a definition's queries against its fields; raises DefinitionInvalid with pointers.

    Each is `{"description"?, "parameters"?: {name: JSON Schema}, "pipeline": [stages], "limit"?}`.
    """
    faults = Violations()
    compiled = dict(_compiled(faults, queries, root))
    faults.raise_if_any(DefinitionInvalid)
    return compiled


def _compiled(faults: Violations, queries: Any, root: Field) -> list[tuple[str, SavedQuery]]:
    if not isinstance(queries, dict):
        faults.add("the queries are not an object of queries by name", "type", "/queries")
        return []
    if len(queries) > MAXIMUM_QUERIES:
        faults.add(f"there are more than {MAXIMUM_QUERIES} queries", "too_complex", "/queries")
        return []
    if _is_too_long(queries):
        detail = f"the queries are more than {MAXIMUM_QUERIES_BYTES // 1024} KiB of JSON, or not JSON"
        faults.add(detail, "too_large", "/queries")
        return []
    read = [(name, _query(faults, name, described, root)) for name, described in queries.items()]
    return [(name, query) for name, query in read if query is not None]


def _is_too_long(queries: Any) -> bool:
    try:
        return len(json.dumps(queries, ensure_ascii=False).encode(errors="replace")) > MAXIMUM_QUERIES_BYTES
    except (TypeError, ValueError, RecursionError):
        return True


def _query(faults: Violations, name: str, value: Any, root: Field) -> SavedQuery | None:
    pointer = "/queries" + escape_pointer(name)
    if not NAME.fullmatch(name):
        hint = "Use a lower-case letter, then up to 62 lower-case letters, digits, `_` and `-`."
        faults.add(f"`{shown(name)}` cannot be the name of a query", "pattern", pointer, hint)
    if not faults.members(value, MEMBERS, pointer, "a query") and not isinstance(value, dict):
        return None
    description = value.get("description", "")
    if not isinstance(description, str) or len(description) > MAXIMUM_DESCRIPTION_CHARACTERS:
        detail = f"the description is text of at most {MAXIMUM_DESCRIPTION_CHARACTERS} characters"
        faults.add(detail, "type", f"{pointer}/description")
    limit = value.get("limit", DEFAULT_RESULTS)
    if type(limit) is not int or not 1 <= limit <= MAXIMUM_RESULTS:
        faults.add(
            f"the limit is not a whole number from 1 to {MAXIMUM_RESULTS}", "range", f"{pointer}/limit"
        )
    before = len(faults)
    parameters = compile_parameters(faults, value.get("parameters", {}), f"{pointer}/parameters")
    if len(faults) > before:
        return None  # the pipeline would be said to use parameters that are not there
    pipeline = value.get("pipeline")
    reader, stages = _begin(faults, parameters, root, lambda _: None)
    stages += reader.read(pipeline, f"{pointer}/pipeline")
    return SavedQuery(
        name=name,
        description=description,
        parameters=parameters,
        limit=limit,
        collections=frozenset(join.collection for join in reader.joins),
        stages=stages,
        root=reader.shape.root,
        told=leading_to(reachable(reader.shape.root), is_told),
        _pipeline=pipeline,
        _schema_root=root,
    )


def _begin(
    faults: Violations, parameters: Parameters, root: Field, fields_of: FieldsOf
) -> tuple[PipelineReader, Stages]:
    """Return the reader of a pipeline, and the stages before it that take away what nobody may see."""
    visible, hiding = without_hidden(root)
    return PipelineReader(faults, parameters, Shape(visible, KEYS), fields_of), [*hiding]
