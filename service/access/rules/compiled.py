"""Rules, compiled once per definition version: who may do what in a collection."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.access.decisions import ALLOWED, Decision
from service.access.principals import Principal
from service.access.rules import warnings
from service.access.rules.alternatives import Alternative
from service.access.rules.faults import Faults, at
from service.access.rules.plans import Plan
from service.access.rules.reading import read_rules
from service.access.rules.words import VERBS, Verb
from service.kit.errors import DefinitionInvalid
from service.query.fields import Field


class Rules:
    """The compiled rules of one collection; a verb without a rule is for administrators only."""

    def __init__(
        self, alternatives: Mapping[Verb, tuple[Alternative, ...]], root: Field | None = None
    ) -> None:
        self._alternatives = {verb: alternatives.get(verb, ()) for verb in VERBS}
        self._plans = {verb: Plan(several) for verb, several in self._alternatives.items()}
        self._warnings = tuple(warnings.of(self._alternatives, root))

    def decide(self, verb: Verb, principal: Principal) -> Decision:
        """Decide without the database; `where` belongs into the very operation that reads or writes."""
        if principal.is_admin:
            return ALLOWED
        return self._plans[verb].decide(principal)

    def alternatives(self, verb: Verb) -> tuple[Alternative, ...]:
        """Give the alternatives of a verb in their order; none when it is for administrators only."""
        return self._alternatives[verb]

    def warnings(self) -> list[str]:
        """Give a sentence for each thing in the rules that deserves a second look."""
        return list(self._warnings)

    def constants(self) -> Iterator[tuple[str, str, Any]]:
        """Give the pointer, the field and the JSON value of each member that is set to the same for all."""
        told = set()
        for several in self._alternatives.values():
            for each in several:
                members = {} if each.forced is None else each.forced.constants
                for name, value in members.items():
                    pointer = at(f"{each.pointer}/set", name)
                    if pointer not in told:
                        told.add(pointer)
                        yield pointer, name, value


def compile(rules: Any, fields: Field | None) -> Rules:  # noqa: A001  # read with its module: rules.compile
    """Compile `{verb or group: alternative or list of them}`; raises DefinitionInvalid naming every fault.

    `fields` is the root of the collection's schema, which conditions and masks are read against; without it,
    when there is none that is right, only the form is checked, and what comes of it allows nobody anything.

    >>> compile({"read": "anyone", "create": "anyone"}, Field()).warnings()
    ['Anyone may create documents without signing in.']
    >>> compile({"reed": "anyone"}, Field())
    Traceback (most recent call last):
    service.kit.errors.DefinitionInvalid: The rules have 1 fault
    """
    faults = Faults()
    alternatives = read_rules(faults, rules, fields)
    if faults.violations:
        number = len(faults.violations)
        detail = f"The rules have {number} fault{'s' * (number > 1)}"
        raise DefinitionInvalid(detail, errors=faults.violations)
    return Rules({} if fields is None else alternatives, fields)
