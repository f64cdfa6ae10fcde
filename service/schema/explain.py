"""Every violation of a schema by a document: where, which keyword, in a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from service.kit.errors import MAXIMUM_VIOLATIONS, Violation, suggestion
from service.kit.json_values import escape_pointer, join_pointer
from service.query.fields import Field
from service.query.kinds import INT64_MAXIMUM, INT64_MINIMUM
from service.schema.encoding import member
from service.schema.sentences import SENTENCES, shown, snake_case, types
from service.schema.subschemas import IN_PLACE, Step, Subschemas

MAXIMUM_VALUES = 2_000
MAXIMUM_EXPLAINED = 10_000
MAXIMUM_SEARCHED = 100_000


class Effort(Enum):
    """What may be spent on explaining a document."""

    EVERY_VIOLATION = 1
    FIRST_VIOLATION = 2
    NONE = 3


def effort_of(subschemas: Subschemas, document: dict[str, Any]) -> Effort:
    """Return what may be spent on a document, for alternatives within alternatives multiply at each level.

    The validator decides quickly whether a document is valid, remembering what it has judged, but it lists
    the reasons without remembering.
    """
    evaluations = 0
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        pointer, value = waiting.pop()
        evaluations += 1
        if evaluations > MAXIMUM_SEARCHED:
            return Effort.NONE
        for step in subschemas.steps[pointer]:
            waiting.extend((step.target, part) for part in _judged(step, value))
    if evaluations > MAXIMUM_EXPLAINED or _has_more_values(document, MAXIMUM_VALUES):
        return Effort.FIRST_VIOLATION
    return Effort.EVERY_VIOLATION


def _judged(step: Step, value: Any) -> Iterator[Any]:
    """Yield at least the values that the subschema which a step leads to judges."""
    if step.keyword in IN_PLACE:
        yield value
    elif isinstance(value, dict):
        if step.keyword == "properties":
            if step.name in value:
                yield value[step.name]
        elif step.keyword == "propertyNames":
            yield from value
        elif step.keyword in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            yield from value.values()
    elif isinstance(value, list):
        if step.keyword == "prefixItems":
            yield from value[step.name : step.name + 1] if isinstance(step.name, int) else ()
        elif step.keyword in ("items", "contains", "unevaluatedItems"):
            yield from value


def _has_more_values(document: Any, maximum: int) -> bool:
    waiting = [document]
    count = 0
    while waiting and count <= maximum:
        value = waiting.pop()
        if isinstance(value, dict | list):
            count += len(value)
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return count > maximum


Path = tuple[str | int, ...]


def explain(
    validator: Draft202012Validator, subschemas: Subschemas, root: Field, document: dict[str, Any]
) -> list[Violation]:
    """Say what is wrong with a document that the validator refuses; at most MAXIMUM_VIOLATIONS, each once.

    For a very large document only the first one; for one whose alternatives multiply, only that it is wrong.
    """
    reader = _Reader(root, document)
    found: Iterator[Violation]
    match effort_of(subschemas, document):
        case Effort.EVERY_VIOLATION:
            found = (each for error in validator.iter_errors(document) for each in reader.read(error))
        case Effort.FIRST_VIOLATION:
            found = reader.read(_first(validator, document))
        case Effort.NONE:
            detail = "the document does not match the schema, and is too deep to say where"
            found = iter([Violation(detail, "schema", pointer="")])
    too_large = islice(beyond_int64(document), MAXIMUM_VIOLATIONS)
    every = dict.fromkeys(islice(found, MAXIMUM_VIOLATIONS)) | dict.fromkeys(too_large)
    return list(every)[:MAXIMUM_VIOLATIONS]


def _first(validator: Draft202012Validator, document: dict[str, Any]) -> ValidationError:
    try:
        validator.validate(document)
    except ValidationError as error:
        return error
    raise AssertionError("only a document that the validator refuses is explained")


def beyond_int64(value: Any, path: Path = ()) -> Iterator[Violation]:
    """Yield the integers that BSON cannot hold."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from beyond_int64(part, (*path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from beyond_int64(part, (*path, index))
    elif type(value) is int and not INT64_MINIMUM <= value <= INT64_MAXIMUM:
        detail = "the integer is beyond 64 bits, which is all that can be stored"
        hint = "Send it as text, in a field of the format `decimal`"
        yield Violation(detail, "int64_range", pointer=join_pointer(path), hint=hint)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the validator's errors into violations of one document."""

    root: Field
    document: dict[str, Any]

    def read(self, error: ValidationError) -> Iterator[Violation]:
        kind, path = error.kind, tuple(error.instance_path)
        match kind:
            case ValidationErrorKind.AdditionalProperties(unexpected=names):
                yield from self._unexpected(path, names, "additional_properties")
            case ValidationErrorKind.UnevaluatedProperties(unexpected=names):
                yield from self._unexpected(path, names, "unevaluated_properties")
            case ValidationErrorKind.FalseSchema() if error.schema_path[-1:] == ["additionalProperties"]:
                yield from self._unexpected(path, list(self._value_at(path)), "additional_properties")
            case ValidationErrorKind.PropertyNames(error=cause):
                name = str(cause.instance)
                yield Violation(
                    f"the name {shown(name)} is not allowed here",
                    "property_names",
                    join_pointer(path) + escape_pointer(name),
                )
            case ValidationErrorKind.Required(property=name):
                yield _missing(error, join_pointer(path) + escape_pointer(name), name)
            case (
                ValidationErrorKind.AnyOf(context=context)
                | ValidationErrorKind.OneOfNotValid(context=context)
            ):
                yield from self._alternatives(error, path, context)
            case _:
                yield self._plain(error, path)

    def _plain(self, error: ValidationError, path: Path) -> Violation:
        keyword = error.kind.name
        if keyword == "contains":
            keyword = str(error.schema_path[-1])  # also minContains and maxContains
        value = "the value" if self._is_hidden(path) else shown(error.instance)
        return Violation(
            SENTENCES[keyword](value, error.kind), snake_case(keyword), pointer=join_pointer(path)
        )

    def _alternatives(
        self, error: ValidationError, path: Path, context: list[list[ValidationError]]
    ) -> Iterator[Violation]:
        """Say what is wrong by the one alternative that is meant, where only one can be."""
        meant = [causes for causes in context if not any(_tells_apart(cause, path) for cause in causes)]
        if len(meant) == 1:
            for cause in meant[0]:
                yield from self.read(cause)
            return
        kinds = [causes[0].kind for causes in context if len(causes) == 1]
        named = [kind for kind in kinds if isinstance(kind, ValidationErrorKind.Type)]
        if not meant and len(named) == len(context):
            value = "the value" if self._is_hidden(path) else shown(error.instance)
            allowed = types(list({name for kind in named for name in kind.types}))
            yield Violation(f"{value} is not {allowed}", "type", pointer=join_pointer(path))
        else:
            yield self._plain(error, path)

    def _unexpected(self, path: Path, names: list[str], code: str) -> Iterator[Violation]:
        field = self._field_at(path)
        known = [name for name in field.fields if name[:1] != "_" and (path or name != "id")] if field else []
        for name in names:
            detail = f"`{name[:80]}` is not a field of the schema"
            yield Violation(
                detail, code, join_pointer(path) + escape_pointer(name), hint=suggestion(name[:80], known)
            )

    def _value_at(self, path: Path) -> Any:
        value: Any = self.document
        for part in path:
            value = value[part]
        return value

    def _along(self, path: Path) -> Iterator[Field | None]:
        field: Field | None = self.root
        for part in path:
            if field is not None:
                field = field.items if isinstance(part, int) else member(field, part)
            yield field

    def _field_at(self, path: Path) -> Field | None:
        return list(self._along(path))[-1] if path else self.root

    def _is_hidden(self, path: Path) -> bool:
        return any(field is not None and field.write_only for field in self._along(path))


def _missing(error: ValidationError, pointer: str, name: str) -> Violation:
    if error.schema_path[-1:] == ["dependentRequired"]:
        return Violation(f"`{name[:80]}` is required beside the other fields", "dependent_required", pointer)
    return Violation(f"`{name[:80]}` is required", "required", pointer)


def _tells_apart(cause: ValidationError, path: Path) -> bool:
    """Return whether this shows that the alternative was not meant: another type, or another fixed value."""
    below = len(cause.instance_path) - len(path)
    if isinstance(cause.kind, ValidationErrorKind.Type):
        return below == 0
    return isinstance(cause.kind, ValidationErrorKind.Constant) and below <= 1
