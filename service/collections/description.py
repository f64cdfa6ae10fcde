"""A collection's description: schema, rules and their tests, indexes, options, queries, read as one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from models.definition import CollectionDefinition
from service import schema as schemas
from service.access import rules as access_rules
from service.access.rules import Rules
from service.collections import indexes as index_parts
from service.collections import names, rule_tests
from service.collections.indexes import Index
from service.kit.errors import DefinitionInvalid, Violation
from service.kit.json_values import escape_pointer
from service.kit.violations import Violations
from service.query.kinds import Kind
from service.saved_queries import definition as saved_queries
from service.saved_queries.definition import SavedQuery
from service.schema import Schema

ID_TYPES = {"objectid": Kind.OBJECT_ID, "uuid": Kind.UUID, "string": Kind.STRING, "integer": Kind.INTEGER}
CONCURRENCY = ("optional", "required")
OPTION_NAMES = ("id_type", "concurrency", "live")


@dataclass(frozen=True, slots=True)
class Options:
    """A collection's options, checked.

    `id_type`: the type of the ids. When it is chosen, clients may supply ids themselves; else ids are
    ObjectIds that the service makes. `concurrency`: whether a change has to say by `If-Match` which version
    of a document it is of. `live`: whether its changes can be watched, None where nothing is said.
    """

    id_type: str | None = None
    concurrency: str = "optional"
    live: bool | None = None

    @property
    def id_kind(self) -> Kind:
        """Return the kind of value that an id is."""
        return ID_TYPES[self.id_type or "objectid"]

    @property
    def may_supply_ids(self) -> bool:
        """Return whether a client may choose a new document's id."""
        return self.id_type is not None

    @property
    def requires_if_match(self) -> bool:
        """Return whether a change without `If-Match` is refused."""
        return self.concurrency == "required"

    @property
    def is_live(self) -> bool:
        """Return whether changes can be watched, where the server can tell them."""
        return self.live is not False


def parse_options(options: Any) -> Options:
    """Read the options of a definition; raises DefinitionInvalid with pointers below `/options`."""
    violations = Violations()
    if not isinstance(options, Mapping):
        violations.add("the options are not an object", "type", "/options")
        raise violations.failure(DefinitionInvalid)
    violations.unknown_members(options, OPTION_NAMES, "/options", "an option")
    id_type = options.get("id_type")
    if id_type is not None and not (isinstance(id_type, str) and id_type in ID_TYPES):
        detail = f"the id_type is not one of {', '.join(ID_TYPES)}"
        violations.add(detail, "enum", "/options/id_type")
    concurrency = options.get("concurrency", "optional")
    if not (isinstance(concurrency, str) and concurrency in CONCURRENCY):
        detail = f"the concurrency is not one of {', '.join(CONCURRENCY)}"
        violations.add(detail, "enum", "/options/concurrency")
    live = options.get("live")
    if not (live is None or isinstance(live, bool)):
        violations.add("live is neither true nor false", "type", "/options/live")
    violations.raise_if_any(DefinitionInvalid)
    return Options(id_type=id_type, concurrency=concurrency, live=live)


MEMBERS: dict[str, Any] = {
    "schema": None,
    "rules": {},
    "rule_tests": [],
    "indexes": [],
    "options": {},
    "queries": {},
}
"""The members of a description, with what they are when left out; the schema cannot be."""


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """All that was said of a collection, compiled; `source` is the JSON that said it."""

    source: Mapping[str, Any]
    schema: Schema
    rules: Rules
    indexes: tuple[Index, ...]
    options: Options
    queries: Mapping[str, SavedQuery]


def parse(body: Mapping[str, Any]) -> Description:
    """Read and compile a description; raises DefinitionInvalid with every violation of every part.

    When all parts are right, the tests of its rules are run, which raise it too.
    """
    description = _compiled(body)
    rule_tests.run(description.source["rule_tests"], description.schema, description.rules)
    return description


def _compiled(body: Mapping[str, Any]) -> Description:
    violations = Violations()
    violations.unknown_members(body, MEMBERS, "", "a part of a definition")
    source = {name: body.get(name, default) for name, default in MEMBERS.items()}
    options = violations.read(lambda: parse_options(source["options"])) or Options()
    schema = violations.read(lambda: _compile_schema(source["schema"], options))
    root = None if schema is None else schema.root
    rules = violations.read(lambda: _compile_rules(source["rules"], schema))
    if root is not None:
        indexes = violations.read(partial(index_parts.parse, source["indexes"], root))
        queries = violations.read(partial(saved_queries.parse, source["queries"], root))
    if violations or schema is None or rules is None or indexes is None or queries is None:
        raise violations.failure(DefinitionInvalid, "things are wrong")
    return Description(source, schema, rules, indexes, options, queries)


def _compile_schema(schema: Any, options: Options) -> Schema:
    if schema is None:
        missing = Violation("a definition has a schema", "required", pointer="/schema")
        raise DefinitionInvalid(missing.detail, errors=[missing])
    try:
        schemas.check(schema)
    except DefinitionInvalid as error:
        below = [replace(each, pointer=f"/schema{each.pointer or ''}") for each in error.errors]
        raise DefinitionInvalid(error.detail, errors=below) from None
    compiled = schemas.compile(schema, options.id_kind)
    if faults := list(_illegal_targets(compiled)):
        raise DefinitionInvalid(faults[0].detail, errors=faults)
    return compiled


def _compile_rules(rules: Any, schema: Schema | None) -> Rules:
    """Compile rules, and check by the schema what they set to the same for everybody."""
    compiled = access_rules.compile(rules, None if schema is None else schema.root)
    faults = [
        replace(each, pointer=pointer + (each.pointer or "").removeprefix(escape_pointer(name)))
        for pointer, name, value in compiled.constants()
        for each in ([] if schema is None else schema.violations({name: value}))
        if f"{each.pointer}/".startswith(f"{escape_pointer(name)}/") and each.code != "required"
    ]
    if faults:
        raise DefinitionInvalid(faults[0].detail, errors=faults)
    return compiled


def _illegal_targets(schema: Schema) -> Iterator[Violation]:
    """Yield each `x-collection` whose value no collection can have as its name; there need not be one yet."""
    for pointer, name in schema.targets():
        try:
            names.check(name)
        except DefinitionInvalid as error:
            yield from (replace(each, pointer=f"/schema{pointer}") for each in error.errors)


def stored(definition: CollectionDefinition) -> Description:
    """Read the description that a stored definition holds; the tests of its rules were passed back then."""
    return _compiled(
        {
            "schema": json.loads(definition.schema_text),
            "rules": json.loads(definition.rules_text),
            "rule_tests": json.loads(definition.rule_tests_text),
            "indexes": json.loads(definition.indexes_text),
            "options": json.loads(definition.options_text),
            "queries": json.loads(definition.queries_text),
        }
    )


def texts(description: Description) -> dict[str, str]:
    """Return the members of a stored definition that hold a description."""
    return {
        f"{name}_text": json.dumps(description.source[name], ensure_ascii=False, separators=(",", ":"))
        for name in MEMBERS
    }
