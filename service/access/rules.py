"""Rules: who may do what in a collection, compiled once per definition version."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from service.access.decisions import ALLOWED, REFUSED, Decision, Grant
from service.access.principals import ROLE_PATTERN, Principal
from service.errors import DefinitionInvalid, Violation, suggestion
from service.query.fields import Field
from service.query.tree import Compare, Node

Verb = Literal["list", "get", "create", "update", "delete", "watch"]

VERBS: tuple[Verb, ...] = get_args(Verb)
GROUPS: Mapping[str, tuple[Verb, ...]] = {
    "read": ("list", "get", "watch"),
    "write": ("create", "update", "delete"),
}
"""What stands for several verbs; a rule for one of them by name wins over its group's."""

OWNER_PATH = ("_owner",)
WORDS = ("anyone", "user", "owner", "nobody")
ROLE_PREFIX = "role:"
MAXIMUM_WORDS = 50


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to be allowed: who it is for, and to which documents it narrows them, by who they are.

    `role` is asked for besides being signed in; `where` None does not narrow.
    """

    is_for_anyone: bool = False
    role: str | None = None
    where: Callable[[Principal], Node] | None = None

    def admits(self, principal: Principal) -> bool:
        """Tell whether it is for this caller."""
        if self.is_for_anyone:
            return True
        return principal.is_signed_in and (self.role is None or self.role in principal.roles)


class Rules:
    """The compiled rules of one collection; a verb without a rule is for administrators only."""

    def __init__(self, alternatives: Mapping[Verb, tuple[Alternative, ...]]) -> None:
        self._alternatives = {verb: alternatives.get(verb, ()) for verb in VERBS}

    def decide(self, verb: Verb, principal: Principal) -> Decision:
        """Decide without the database; `where` belongs into the very operation that reads or writes."""
        if principal.is_admin:
            return ALLOWED
        grants = []
        for position, alternative in enumerate(self._alternatives[verb]):
            if alternative.admits(principal):
                where = None if alternative.where is None else alternative.where(principal)
                grants.append(Grant(position, where))
        return Decision(tuple(grants)) if grants else REFUSED

    def warnings(self) -> list[str]:
        """Give a sentence for each verb that changes data and is open to everybody."""
        return [
            f"Anyone may {verb} documents without signing in."
            for verb in GROUPS["write"]
            if any(each.is_for_anyone and each.where is None for each in self._alternatives[verb])
        ]


def compile(rules: Any, fields: Field | None) -> Rules:  # noqa: A001, ARG001  # read with its module: rules.compile
    """Compile `{verb or group: word or list of words}`; raises DefinitionInvalid naming every fault.

    `fields` is the root of the collection's schema, which conditions and masks are read against; without it,
    when there is none that is right, only the form is checked.

    >>> compile({"read": "anyone", "create": "anyone"}, Field()).warnings()
    ['Anyone may create documents without signing in.']
    >>> compile({"reed": "anyone"}, Field())
    Traceback (most recent call last):
    service.errors.DefinitionInvalid: The rules have 1 fault
    """
    violations = list(_faults(rules))
    if violations:
        number = len(violations)
        raise DefinitionInvalid(f"The rules have {number} fault{'s' * (number > 1)}", errors=violations)
    return Rules({verb: _alternatives(verb, _words(rules, verb)) for verb in VERBS})


def _words(rules: Mapping[str, Any], verb: Verb) -> list[str]:
    """Give what is said for a verb: by its name, else by its group's, else nothing."""
    group = next((name for name, verbs in GROUPS.items() if verb in verbs), verb)
    stated = rules.get(verb, rules.get(group, []))
    return [stated] if isinstance(stated, str) else stated


def _alternatives(verb: Verb, words: list[str]) -> tuple[Alternative, ...]:
    return tuple(_alternative(verb, word) for word in words if word != "nobody")


def _alternative(verb: Verb, word: str) -> Alternative:
    if word == "anyone":
        return Alternative(is_for_anyone=True)
    if word == "owner" and verb != "create":  # nobody owns what does not exist yet: its creator will
        return Alternative(where=_is_owned)
    return Alternative(role=word.removeprefix(ROLE_PREFIX) if word.startswith(ROLE_PREFIX) else None)


def _is_owned(principal: Principal) -> Node:
    return Compare(OWNER_PATH, "eq", principal.id)


def _faults(rules: Any) -> Iterator[Violation]:
    if not isinstance(rules, Mapping):
        yield Violation('Rules are an object such as {"read": "anyone"}', "type", "/rules")
        return
    known = (*GROUPS, *VERBS)
    for name, value in rules.items():
        pointer = "/rules/" + name.replace("~", "~0").replace("/", "~1")
        if name not in known:
            detail = f"`{name[:40]}` is not a verb; those are {', '.join(known)}"
            yield Violation(detail, "verb", pointer, hint=suggestion(name, known))
        else:
            yield from _value_faults(value, pointer)


def _value_faults(value: Any, pointer: str) -> Iterator[Violation]:
    if not isinstance(value, list):
        yield from _word_faults(value, pointer)
    elif not value:
        yield Violation("An empty list allows nobody; write `nobody` if that is meant", "minItems", pointer)
    elif len(value) > MAXIMUM_WORDS:
        yield Violation(f"A rule has at most {MAXIMUM_WORDS} words", "maxItems", pointer)
    elif len(value) > 1 and "nobody" in value:
        yield Violation("`nobody` stands alone, not beside other words", "word", pointer)
    else:
        for position, word in enumerate(value):
            yield from _word_faults(word, f"{pointer}/{position}")


def _word_faults(word: Any, pointer: str) -> Iterator[Violation]:
    if isinstance(word, dict):
        detail = "A rule is a word or a list of words; rules written as objects are not read yet"
        yield Violation(detail, "type", pointer)
    elif not isinstance(word, str):
        yield Violation("A rule is a word such as `owner`, or a list of words", "type", pointer)
    elif word in WORDS:
        return
    elif not word.startswith(ROLE_PREFIX):
        detail = f"`{word[:40]}` is not one of {', '.join(WORDS)} and {ROLE_PREFIX}<name>"
        role = f"Did you mean `{ROLE_PREFIX}{word}`?" if ROLE_PATTERN.fullmatch(word) else None
        yield Violation(detail, "word", pointer, hint=suggestion(word, WORDS) or role)
    elif not ROLE_PATTERN.fullmatch(word.removeprefix(ROLE_PREFIX)):
        detail = "A role's name is a letter followed by at most 62 of a-z, 0-9, _ and -"
        yield Violation(detail, "word", pointer)
