"""Rules as a definition states them, read into alternatives with every fault at its pointer."""

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from service.access.principals import ROLE_PATTERN
from service.access.rules.alternatives import Alternative, Forced, audience_of, read_forced
from service.access.rules.conditions import Condition, ConditionReader
from service.access.rules.masks import Use, read_fields
from service.access.rules.words import (
    GROUPS,
    MAXIMUM_ALTERNATIVES,
    MAXIMUM_RULES_BYTES,
    MEMBERS,
    MEMBERS_OF,
    ROLE_PREFIX,
    VERBS,
    WORDS,
    Verb,
    verbs_of,
)
from service.kit.violations import Violations, at, shown
from service.query.fields import Field
from service.query.parameters import Problems
from service.query.tree import Selection

NAMES = (*GROUPS, *VERBS)

_NOT_A_RULE = "A rule is a word such as `owner`, an object with `role`, or a list of them"


class Stated(NamedTuple):
    """One alternative as it is stated, for all verbs of its rule."""

    position: int
    pointer: str
    word: str
    where: Condition | None = None
    check: Condition | None = None
    forced: Forced | None = None
    fields: Selection | None = None


def read_rules(faults: Violations, rules: Any, root: Field | None) -> dict[Verb, tuple[Alternative, ...]]:
    """Read `{verb or group: alternative or list of them}`; what is wrong goes to `faults`.

    Without `root` only the form is read.
    """
    if not isinstance(rules, Mapping):
        faults.add('Rules are an object such as {"read": "anyone"}', "type", "/rules")
        return {}
    text = json.dumps(rules, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode(errors="surrogatepass")) > MAXIMUM_RULES_BYTES:
        faults.add(f"Rules have {MAXIMUM_RULES_BYTES} bytes of JSON at the most", "too_complex", "/rules")
        return {}
    stated: dict[str, list[Stated]] = {}
    for name, rule in rules.items():
        pointer = at("/rules", name)
        if name in NAMES:
            stated[name] = _Reader(faults, root, name).rule(rule, pointer)
        else:
            detail = f"`{shown(name)}` is not a verb; those are {', '.join(NAMES)}"
            faults.add(detail, "verb", pointer, faults.suggest(name, NAMES))
    groups = {verb: group for group, verbs in GROUPS.items() for verb in verbs}
    return {
        verb: tuple(_of_verb(verb, each) for each in stated.get(verb, stated.get(groups[verb], [])))
        for verb in VERBS
    }


def _of_verb(verb: Verb, stated: Stated) -> Alternative:
    """Take what means something for a verb; nobody owns yet what is created: its creator will."""
    members = MEMBERS_OF[verb]
    return Alternative(
        position=stated.position,
        pointer=stated.pointer,
        word=stated.word,
        audience=audience_of(stated.word),
        is_for_owner=stated.word == "owner" and verb != "create",
        where=stated.where if "where" in members else None,
        check=stated.check if "check" in members else None,
        forced=stated.forced if "set" in members else None,
        fields=stated.fields if "fields" in members else None,
    )


class _Reader:
    """Reads the rule of one verb or group, its name."""

    def __init__(self, faults: Violations, root: Field | None, name: str) -> None:
        self._faults = faults
        self._root = root
        self._name = name
        self._verbs = verbs_of(name)
        self._problems = Problems()
        self._conditions = ConditionReader(self._problems)

    def rule(self, rule: Any, pointer: str) -> list[Stated]:
        """Read a word, an object or a list of them; `nobody` has no alternatives."""
        if not isinstance(rule, list):
            return self._alternatives([(pointer, rule)])
        if not rule:
            detail = "An empty list allows nobody; write `nobody` if that is meant"
            self._faults.add(detail, "minItems", pointer)
        elif len(rule) > MAXIMUM_ALTERNATIVES:
            self._faults.add(f"A rule has at most {MAXIMUM_ALTERNATIVES} alternatives", "maxItems", pointer)
            return []
        elif len(rule) > 1 and any(_word_of(each) == "nobody" for each in rule):
            self._faults.add("`nobody` stands alone, not beside others", "word", pointer)
        return self._alternatives((f"{pointer}/{position}", each) for position, each in enumerate(rule))

    def _alternatives(self, places: Iterable[tuple[str, Any]]) -> list[Stated]:
        read = (self._alternative(position, *place) for position, place in enumerate(places))
        return [each for each in read if each is not None]

    def _alternative(self, position: int, pointer: str, stated: Any) -> Stated | None:
        if isinstance(stated, str):
            word = self._word(stated, pointer, is_shorthand=True)
            return None if word in (None, "nobody") else Stated(position, pointer, str(word))
        if not isinstance(stated, dict):
            self._faults.add(_NOT_A_RULE, "type", pointer)
            return None
        for name in stated:
            self._check_member(name, at(pointer, name))
        if "role" not in stated:
            hint = 'Write `"role": "user"` for whoever is signed in.'
            self._faults.add("An alternative says in `role` whom it is for", "required", pointer, hint)
            return None
        word = self._word(stated["role"], f"{pointer}/role", is_shorthand=False)
        if word == "nobody" and len(stated) > 1:
            self._faults.add("`nobody` stands alone, without other members", "word", f"{pointer}/role")
        read = self._object(position, pointer, str(word), stated)
        return None if word in (None, "nobody") else read

    def _object(self, position: int, pointer: str, word: str, stated: Mapping[str, Any]) -> Stated:
        forced = fields = None
        if "set" in stated:
            forced = read_forced(self._faults, stated["set"], self._root, f"{pointer}/set")
        if "fields" in stated:
            place = f"{pointer}/fields"
            fields = read_fields(self._faults, stated["fields"], self._root, place, self._uses())
        return Stated(
            position,
            pointer,
            word,
            self._condition("where", stated, pointer),
            self._condition("check", stated, pointer),
            forced,
            fields,
        )

    def _uses(self) -> frozenset[Use]:
        return frozenset("write" if verb in GROUPS["write"] else "read" for verb in self._verbs)

    def _check_member(self, name: str, pointer: str) -> None:
        if name not in MEMBERS:
            detail = f"`{shown(name)}` is not a member of an alternative; those are {', '.join(MEMBERS)}"
            self._faults.add(detail, "unknown", pointer, self._faults.suggest(name, MEMBERS))
        elif not any(name in MEMBERS_OF[verb] for verb in self._verbs):
            detail = f"`{name}` means nothing for `{self._name}`"
            self._faults.add(detail, "member", pointer, _hint(name, self._verbs[0]))

    def _word(self, word: Any, pointer: str, *, is_shorthand: bool) -> str | None:
        """Check a word; the `role` of an object is also the bare name of one."""
        if not isinstance(word, str):
            detail = _NOT_A_RULE if is_shorthand else "`role` is a word such as `user`, or a role's name"
            self._faults.add(detail, "type", pointer)
        elif word in WORDS:
            return word
        elif not word.startswith(ROLE_PREFIX) and is_shorthand:
            detail = f"`{shown(word)}` is not one of {', '.join(WORDS)} and {ROLE_PREFIX}<name>"
            role = f"Did you mean `{ROLE_PREFIX}{word}`?" if ROLE_PATTERN.fullmatch(word) else None
            self._faults.add(detail, "word", pointer, self._faults.suggest(word, WORDS) or role)
        elif not ROLE_PATTERN.fullmatch(word.removeprefix(ROLE_PREFIX)):
            detail = "A role's name is a letter followed by at most 62 of a-z, 0-9, _ and -"
            self._faults.add(detail, "word", pointer)
        else:
            return word
        return None

    def _condition(self, name: str, stated: Mapping[str, Any], pointer: str) -> Condition | None:
        if name not in stated:
            return None
        pointer = f"{pointer}/{name}"
        value = stated[name]
        if not isinstance(value, dict) or not value:
            hint = f"Leave `{name}` out when there is no condition."
            self._faults.add(f"`{name}` is a filter with one condition at least", "type", pointer, hint)
            return None
        if self._root is None:
            return None
        condition = self._faults.read(partial(self._read_condition, value, self._root), pointer)
        if condition is None:
            self._problems = Problems()
            self._conditions = ConditionReader(self._problems)
        return condition

    def _read_condition(self, value: dict[str, Any], root: Field) -> Condition:
        condition = self._conditions.condition(value, root)
        self._problems.raise_if_any()
        return condition


def _word_of(stated: Any) -> Any:
    return stated.get("role") if isinstance(stated, dict) else stated


def _hint(name: str, verb: Verb) -> str:
    if name == "where":
        return "Nothing is there yet: test what is created with `check`."
    if verb == "delete":
        return "A document is deleted as a whole: narrow with `where`."
    if name == "check":
        return "Nothing is written: narrow with `where`."
    return "Nothing is written."
