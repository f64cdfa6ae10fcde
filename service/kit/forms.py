"""Bodies of requests as strict forms, whose every fault becomes a violation with its pointer."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from service.kit.errors import MAXIMUM_VIOLATIONS, DocumentInvalid, Violation, suggestion
from service.kit.json_values import escape_pointer
from service.kit.violations import invalid

CODES = {
    "missing": "required",
    "extra_forbidden": "additionalProperties",
    "string_too_short": "minLength",
    "string_too_long": "maxLength",
    "value_error": "format",
    "literal_error": "enum",
}
"""JSON Schema's keyword for each fault that pydantic finds; the others are of `type`."""


class Form(BaseModel):
    """A body with exactly these members, each of exactly its type."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


AnyForm = TypeVar("AnyForm", bound=Form)


def read(form: type[AnyForm], value: Any) -> AnyForm:
    """Read a JSON value as a form; raises DocumentInvalid with every violation, never showing the input.

    >>> class Greeting(Form):
    ...     text: str
    >>> read(Greeting, {"text": "Good morning"}).text
    'Good morning'
    """
    try:
        return form.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    if not isinstance(value, dict):
        raise DocumentInvalid("The body must be a JSON object")
    violations = [_violation(form, each) for each in found[:MAXIMUM_VIOLATIONS]]
    raise DocumentInvalid(invalid(len(found)), errors=violations)


def _violation(form: type[Form], error: ErrorDetails) -> Violation:
    name = str(error["loc"][0])
    pointer = escape_pointer(name)
    code = CODES.get(error["type"], "type")
    if code == "required":
        return Violation(f"`{name}` is required", code, pointer)
    if code == "additionalProperties":
        detail = f"`{name[:80]}` cannot be given here"
        return Violation(detail, code, pointer, hint=suggestion(name[:80], form.model_fields))
    return Violation(error["msg"].removeprefix("Value error, "), code, pointer)
