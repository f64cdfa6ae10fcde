"""The parameters of a request for one document: which of its fields, and which references to expand."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.kit.violations import shown
from service.query.expansions import FieldsOf, no_fields, read_expand
from service.query.fields import Field
from service.query.lists import Selection
from service.query.ordering import read_selection
from service.query.problems import Problems
from service.query.tree import Path

PARAMETERS = ("fields", "expand")


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """What to show of a document: the fields of a selection, with references expanded."""

    selection: Selection | None = None
    expand: tuple[Path, ...] = ()


WHOLE = ViewQuery()
"""All that may be seen of a document."""


def parse_view(
    parameters: Sequence[tuple[str, str]], fields: Field, fields_of: FieldsOf = no_fields
) -> ViewQuery:
    """Read the parameters of a request for one document, percent-decoded, against its collection's fields.

    Raises ParameterInvalid with every violation, each naming its parameter, and what `fields_of` raises.
    """
    if not parameters:
        return WHOLE
    problems = Problems()
    given: dict[str, str] = {}
    for name, text in parameters:
        if name not in PARAMETERS:
            detail = f"`{shown(name)}` is not a parameter here"
            hint = problems.suggest(name, PARAMETERS)
            problems.add(detail, "unknown_parameter", parameter=name, hint=hint)
        elif name in given:
            problems.add(f"`{name}` is given twice", "repeated", parameter=name)
        else:
            given[name] = text
    selection = read_selection(problems, fields, given["fields"]) if "fields" in given else None
    expand = read_expand(problems, fields, given["expand"], fields_of) if "expand" in given else ()
    problems.raise_if_any()
    return ViewQuery(selection, expand)
