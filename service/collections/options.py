"""What a collection may choose beside its schema, rules and indexes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.kit.errors import DefinitionInvalid
from service.kit.violations import Violations
from service.query.kinds import Kind

ID_TYPES = {"objectid": Kind.OBJECT_ID, "uuid": Kind.UUID, "string": Kind.STRING, "integer": Kind.INTEGER}
CONCURRENCY = ("optional", "required")
NAMES = ("id_type", "concurrency")


@dataclass(frozen=True, slots=True)
class Options:
    """A collection's options, checked.

    `id_type`: the type of the ids. When it is chosen, clients may supply ids themselves; else ids are
    ObjectIds that the service makes. `concurrency`: whether a change has to say by `If-Match` which version
    of a document it is of.
    """

    id_type: str | None = None
    concurrency: str = "optional"

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


def parse(options: Any) -> Options:
    """Read the options of a definition; raises DefinitionInvalid with pointers below `/options`."""
    violations = Violations()
    if not isinstance(options, Mapping):
        violations.add("the options are not an object", "type", "/options")
        raise violations.failure(DefinitionInvalid)
    violations.unknown_members(options, NAMES, "/options", "an option")
    id_type = options.get("id_type")
    if id_type is not None and not (isinstance(id_type, str) and id_type in ID_TYPES):
        detail = f"the id_type is not one of {', '.join(ID_TYPES)}"
        violations.add(detail, "enum", "/options/id_type")
    concurrency = options.get("concurrency", "optional")
    if not (isinstance(concurrency, str) and concurrency in CONCURRENCY):
        detail = f"the concurrency is not one of {', '.join(CONCURRENCY)}"
        violations.add(detail, "enum", "/options/concurrency")
    violations.raise_if_any(DefinitionInvalid)
    return Options(id_type=id_type, concurrency=concurrency)
