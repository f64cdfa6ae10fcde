"""The parameters of a request that changes or deletes all documents that fulfil a filter."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.kit.errors import ParameterInvalid, Violation, suggestion
from service.kit.violations import Violations, shown
from service.query.fields import Field
from service.query.parse import BRACKET, parse_list
from service.query.tree import Node

CHANGE_PARAMETERS = ("filter", "q", "max_affected")

EVERYTHING_HINT = "If all documents are meant, say so: `filter[id][exists]=true`."


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """Which documents to change: those that fulfil `where` and hold the text `search`, `maximum` at most."""

    where: Node | None
    search: str | None
    maximum: int


def parse_change(parameters: Sequence[tuple[str, str]], fields: Field, largest: int) -> ChangeQuery:
    """Read `filter`, `filter[…]`, `q` and `max_affected`, which goes from 1 to `largest`.

    A filter or a text to search is needed, and so is `max_affected`: a change of everything by mistake cannot
    be taken back. Raises ParameterInvalid with every violation, each naming its parameter.

    >>> parse_change([("q", "oak"), ("max_affected", "9")], Field(), 1000)
    ChangeQuery(where=None, search='oak', maximum=9)
    """
    others = [(name, text) for name, text in parameters if name != "max_affected"]
    violations = Violations()
    violations.extend(_unknown(name) for name, _ in others if not _is_known(name))
    maximum, wrong = _maximum([text for name, text in parameters if name == "max_affected"], largest)
    violations.extend(wrong)
    where, search = None, None
    try:
        query = parse_list([(name, text) for name, text in others if _is_known(name)], fields)
    except ParameterInvalid as failure:
        violations.extend(failure.errors)
    else:
        where, search = query.where, query.search
        if where is None and search is None:
            violations.add("a filter is needed", "required", None, EVERYTHING_HINT, parameter="filter")
    violations.raise_if_any(ParameterInvalid, "parameters are invalid")
    return ChangeQuery(where, search, maximum)


def _is_known(name: str) -> bool:
    return name in CHANGE_PARAMETERS or name.startswith(BRACKET)


def _unknown(name: str) -> Violation:
    detail = f"`{shown(name)}` is not a parameter of a change by filter"
    hint = suggestion(shown(name), CHANGE_PARAMETERS)
    return Violation(detail, "unknown_parameter", parameter=shown(name), hint=hint)


def _maximum(texts: list[str], largest: int) -> tuple[int, list[Violation]]:
    """Read `max_affected`; returns it, and what is wrong with it."""
    detail, code = f"`max_affected` says how many documents may be affected, 1 to {largest}", "required"
    if len(texts) == 1:
        text = texts[0] if texts[0].isascii() and texts[0].isdecimal() else "0"
        number = int(text) if len(text) <= len(str(largest)) else 0
        if 1 <= number <= largest:
            return number, []
        detail, code = f"`max_affected` goes from 1 to {largest}", "range"
    elif texts:
        detail, code = "`max_affected` is there more than once", "repeated"
    return 1, [Violation(detail, code, parameter="max_affected")]
