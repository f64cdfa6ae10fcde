"""Rules, compiled once per definition version: who may do what in a collection."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from models.base import utc_now
from service.access.decisions import ALLOWED, REFUSED, Decision, Grant
from service.access.principals import Principal
from service.access.rules import placeholders
from service.access.rules.alternatives import Alternative
from service.access.rules.masks import read_only_paths
from service.access.rules.placeholders import Absent
from service.access.rules.reading import read_rules
from service.access.rules.words import GROUPS, ROLE_PREFIX, VERBS, WORDS, Verb
from service.kit.errors import DefinitionInvalid, suggestion
from service.kit.violations import Violations, at
from service.query.fields import Field

NOW = datetime(2000, 1, 1, tzinfo=UTC)
"""A time for alternatives that do not ask for it."""

MAXIMUM_KNOWN = 256
"""How many sets of admitting alternatives a plan keeps: there are few, one for each mix of roles."""


class Plan:
    """Decides a verb by its alternatives, in their order."""

    __slots__ = ("_anonymous", "_asks_roles", "_known", "_signed_in", "alternatives")

    def __init__(self, alternatives: Sequence[Alternative]) -> None:
        self.alternatives = tuple(alternatives)
        self._asks_roles = any(each.audience.role is not None for each in alternatives)
        self._known: dict[tuple[int, ...], _Prepared] = {}
        for_anyone = [each for each in alternatives if each.audience.is_for_anyone]
        for_users = [each for each in alternatives if each.audience.role is None]
        self._anonymous = _Prepared(for_anyone)
        self._signed_in = _Prepared(for_users)

    def decide(self, principal: Principal) -> Decision:
        """Decide for a caller who is no administrator."""
        if principal.kind == "anonymous":
            prepared = self._anonymous
        elif not self._asks_roles:
            prepared = self._signed_in
        else:
            prepared = self._of_roles(principal)
        return prepared.fixed or prepared.bound(principal)

    def _of_roles(self, principal: Principal) -> "_Prepared":
        roles = principal.roles
        admitting = tuple(
            position
            for position, each in enumerate(self.alternatives)
            if each.audience.role is None or each.audience.role in roles
        )
        prepared = self._known.get(admitting)
        if prepared is None:
            chosen = [self.alternatives[position] for position in admitting]
            prepared = _Prepared(chosen)
            if len(self._known) < MAXIMUM_KNOWN:
                self._known[admitting] = prepared
        return prepared


class _Prepared:
    """The alternatives that admit callers of one kind; `fixed` is the decision if it is always the same."""

    __slots__ = ("_alternatives", "_asks_time", "fixed")

    def __init__(self, alternatives: Sequence[Alternative]) -> None:
        self._alternatives = _needed(alternatives)
        self._asks_time = any(each.asks_time for each in self._alternatives)
        self.fixed: Decision | None = None
        if all(each.is_fixed for each in self._alternatives):
            nobody = Principal("user", "", frozenset())
            self.fixed = _decision([each.grant(nobody, NOW) for each in self._alternatives])

    def bound(self, principal: Principal) -> Decision:
        """Decide with the caller's own values; an alternative that lacks one does not admit."""
        now = utc_now() if self._asks_time else NOW
        grants = []
        for each in self._alternatives:
            try:
                grants.append(each.grant(principal, now))
            except Absent:
                continue
        return _decision(grants, now if self._asks_time else None)


def _needed(alternatives: Sequence[Alternative]) -> tuple[Alternative, ...]:
    """Leave out what cannot matter: beside one that plainly allows all, after one that always decides."""
    if all(each.is_plain for each in alternatives):
        widest = [each for each in alternatives if not each.narrows]
        return tuple(widest[:1] or alternatives)
    needed = []
    for each in alternatives:
        needed.append(each)
        if always_decides(each):
            break
    return tuple(needed)


def always_decides(alternative: Alternative) -> bool:
    """Return whether no later alternative is asked about whomever this one admits.

    One that forces values may make a document invalid, which a later one makes good.
    """
    is_bound = alternative.narrows or alternative.check is not None or alternative.fields is not None
    return not is_bound and alternative.forced is None


def _decision(grants: list[Grant], moment: datetime | None = None) -> Decision:
    return Decision(tuple(grants), moment) if grants else REFUSED


class Rules:
    """The compiled rules of one collection; a verb without a rule is for administrators only."""

    def __init__(
        self, alternatives: Mapping[Verb, tuple[Alternative, ...]], root: Field | None = None
    ) -> None:
        self._alternatives = {verb: alternatives.get(verb, ()) for verb in VERBS}
        self._plans = {verb: Plan(several) for verb, several in self._alternatives.items()}
        self._warnings = tuple(warnings_of(self._alternatives, root))

    def decide(self, verb: Verb, principal: Principal) -> Decision:
        """Decide without the database; `where` belongs into the very operation that reads or writes."""
        if principal.is_admin:
            return ALLOWED
        return self._plans[verb].decide(principal)

    def alternatives(self, verb: Verb) -> tuple[Alternative, ...]:
        """Return the alternatives of a verb in their order; none when it is for administrators only."""
        return self._alternatives[verb]

    def warnings(self) -> list[str]:
        """Return a sentence for each thing in the rules that deserves a second look."""
        return list(self._warnings)

    def constants(self) -> Iterator[tuple[str, str, Any]]:
        """Yield the pointer, the field and the JSON value of each member that is set to the same for all."""
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
    faults = Violations()
    alternatives = read_rules(faults, rules, fields)
    if faults:
        number = len(faults)
        raise DefinitionInvalid(f"The rules have {number} fault{'s' * (number > 1)}", errors=faults)
    return Rules({} if fields is None else alternatives, fields)


MAXIMUM_WARNINGS = 50

Alternatives = Mapping[Verb, tuple[Alternative, ...]]

CHOSEN = "$user.name"
"""The value that does not say for certain who somebody is."""

_CHANGES: tuple[Verb, ...] = ("create", "update")


def warnings_of(alternatives: Alternatives, root: Field | None) -> list[str]:
    """Return the warnings of a collection's rules, each once, the gravest first."""
    found = [
        *_open(alternatives),
        *_every_document(alternatives),
        *_unproved(alternatives),
        *_unguarded_creation(alternatives),
        *_unread(alternatives),
        *_never_reached(alternatives),
        *_unwritable(alternatives, root),
        *_misspelt(alternatives),
    ]
    return list(dict.fromkeys(found))[:MAXIMUM_WARNINGS]


def _open(alternatives: Alternatives) -> Iterator[str]:
    for verb in GROUPS["write"]:
        if any(each.audience.is_for_anyone and not each.narrows for each in alternatives[verb]):
            yield f"Anyone may {verb} documents without signing in."


def _every_document(alternatives: Alternatives) -> Iterator[str]:
    """Warn where whoever registers changes what others made; a mask that names fields says what is meant."""
    for verb in ("update", "delete"):
        for each in alternatives[verb]:
            is_for_users = not each.audience.is_for_anyone and each.audience.role is None
            names_fields = each.fields is not None and not each.fields.is_exclusion
            if is_for_users and not each.narrows and not names_fields:
                yield f"Any signed-in user may {verb} every document."


def _unproved(alternatives: Alternatives) -> Iterator[str]:
    """Warn where whoever registers under another's name is taken for them."""
    for several in alternatives.values():
        for each in several:
            for part in (each.where, each.check):
                pending = [] if part is None else [one.value for _, one in part.uses]
                asked = {found.text for value in pending for found in placeholders.within(value)}
                if CHOSEN in asked:
                    yield f"`{each.pointer}` goes by `{CHOSEN}`, which callers choose themselves."


def _unguarded_creation(alternatives: Alternatives) -> Iterator[str]:
    """Warn of a `where` under `write` that was perhaps meant for what is created too."""
    narrowed = {each.pointer for each in alternatives["update"] if each.where is not None}
    for each in alternatives["create"]:
        if each.pointer in narrowed and each.check is None:
            yield (
                f"The `where` of `{each.pointer}` says nothing of new documents: "
                f"{_lowered(each.audience.named)} may create any; add a `check`, or a rule for `create`."
            )


def _unread(alternatives: Alternatives) -> Iterator[str]:
    for each in alternatives["update"]:
        readers = [reader for reader in alternatives["get"] if reader.audience.covers(each.audience)]
        if not readers:
            yield f"{each.audience.named} may update documents, and get none of them."
        elif not each.narrows and all(reader.narrows for reader in readers):
            yield f"{each.audience.named} may update documents that they cannot get."


def _never_reached(alternatives: Alternatives) -> Iterator[str]:
    for several in alternatives.values():
        for position, each in enumerate(several):
            before = (
                one
                for one in several[:position]
                if always_decides(one) and one.audience.covers(each.audience)
            )
            first = next(before, None)
            if first is not None:
                yield (
                    f"`{each.pointer}` is never reached: `{first.pointer}` comes first and admits everybody "
                    "whom it is for."
                )


def _unwritable(alternatives: Alternatives, root: Field | None) -> Iterator[str]:
    for verb in _CHANGES:
        for each in alternatives[verb]:
            if root is not None and each.fields is not None:
                for path in read_only_paths(each.fields, root):
                    yield f"`{each.pointer}/fields` names `{path}`, which is readOnly: no body can change it."


def _misspelt(alternatives: Alternatives) -> Iterator[str]:
    for several in alternatives.values():
        for each in several:
            near = suggestion(each.word, WORDS)
            if each.word not in WORDS and not each.word.startswith(ROLE_PREFIX) and near:
                yield f"`{each.pointer}/role` is taken for the role `{each.word}`. {near}"


def _lowered(words: str) -> str:
    return words[0].lower() + words[1:]
