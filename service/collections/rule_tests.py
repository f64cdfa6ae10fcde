"""Tests of rules that are stored with a definition, and run in memory whenever it changes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from service.access import explaining
from service.access.decisions import Decision
from service.access.explaining import Explanation, case_of, judge, own_members, stored_form
from service.access.principals import Principal
from service.access.rules import GROUPS, VERBS, Rules, Verb
from service.kit import forms
from service.kit.errors import DefinitionInvalid, DocumentInvalid, Violation, suggestion
from service.kit.forms import Form
from service.kit.json_values import are_equal
from service.query.tree import comparisons
from service.schema import Schema

MAXIMUM_RULE_TESTS = 200
MAXIMUM_RULE_TESTS_BYTES = 262_144
MAXIMUM_NAME_CHARACTERS = 200

MAXIMUM_WORK = 2_000_000
"""Bytes of documents times the alternatives and comparisons that look at them: some 0.3 s, in which nobody
else is served."""

POINTER = "/rule_tests"


class RuleTest(Form):
    """Who tries what on which document, and whether the rules shall allow it.

    `document` is what is read or deleted, what is created, or what a change shall make of `before`. `fields`
    are the names of its own members that a read shows, `result` members of what a write stores.
    """

    name: str | None = Field(None, min_length=1, max_length=MAXIMUM_NAME_CHARACTERS)
    caller: Any = Field(None, alias="as")
    verb: str
    before: dict[str, Any] | None = None
    document: dict[str, Any] | None = None
    expect: Literal["allow", "deny"]
    fields: list[str] | None = None
    result: dict[str, Any] | None = None


@dataclass(slots=True)
class _Work:
    """How much the tests of a definition have asked for by now."""

    done: int = 0

    def add(self, test: RuleTest, decision: Decision) -> None:
        """Count what a test asks for, before it is run; raises DefinitionInvalid when it is too much."""
        sent = len(json.dumps([test.before, test.document]))
        for grant in decision.grants:
            conditions = [each for each in (grant.where, grant.check) if each is not None]
            looks = 1 + sum(map(comparisons, conditions))
            self.done += looks * (sent + len(json.dumps(dict(grant.forced))))
        if self.done > MAXIMUM_WORK:
            detail = "the tests of rules have too many large documents for so many alternatives"
            hint = "Leave out of their documents what the rules do not ask about, or have fewer tests."
            raise DefinitionInvalid(detail, errors=[Violation(detail, "too_complex", POINTER, hint)])


def run(tests: Any, schema: Schema, rules: Rules) -> None:
    """Run the tests of a definition; raises DefinitionInvalid with a violation for each that fails."""
    violations = list(_faults(tests, schema, rules))
    if violations:
        raise DefinitionInvalid(violations[0].detail, errors=violations)


def _faults(tests: Any, schema: Schema, rules: Rules) -> Iterator[Violation]:
    if not isinstance(tests, list):
        yield Violation("the tests of rules are not an array", "type", POINTER)
    elif len(tests) > MAXIMUM_RULE_TESTS:
        yield Violation(f"there are more than {MAXIMUM_RULE_TESTS} tests of rules", "max_items", POINTER)
    elif len(json.dumps(tests)) > MAXIMUM_RULE_TESTS_BYTES:
        detail = f"the tests of rules have more than {MAXIMUM_RULE_TESTS_BYTES} bytes"
        yield Violation(detail, "too_complex", POINTER)
    else:
        work = _Work()
        for position, stated in enumerate(tests):
            pointer = f"{POINTER}/{position}"
            try:
                yield from _outcome(stated, schema, rules, pointer, work)
            except DocumentInvalid as failure:
                for each in failure.errors or (Violation(failure.detail, "type", ""),):
                    yield replace(each, pointer=f"{pointer}{each.pointer or ''}")


def _outcome(stated: Any, schema: Schema, rules: Rules, pointer: str, work: _Work) -> Iterator[Violation]:
    """Run one test; raises DocumentInvalid, with pointers below the test's own, for what is wrong in form."""
    if not isinstance(stated, dict):
        raise DocumentInvalid('a test of rules is an object such as {"verb": "get", "expect": "deny"}')
    test = forms.read(RuleTest, stated)
    principal = explaining.read_caller(test.caller, "/as")
    verb = _verb(test)
    _check_documents(test, verb, schema)
    decision = rules.decide(verb, principal)
    work.add(test, decision)
    judged = judge(schema, decision, principal, verb, case_of(schema, verb, test.before, test.document))
    is_of_document = test.document is not None or test.before is not None
    explanation = Explanation(rules, verb, principal, decision, judged, is_of_document)
    if judged.allowed != (test.expect == "allow"):
        verdict = "allow" if judged.allowed else "deny"
        detail = f"{_named(test, principal)}: the rules {verdict} it. {explanation.reason}"
        yield Violation(detail, "rule_test", pointer)
        return
    if test.fields is not None:
        seen = sorted(own_members(judged.seen or {}))
        if seen != sorted(set(test.fields)):
            told = ", ".join(f"`{name}`" for name in seen) or "nothing"
            yield Violation(f"{_named(test, principal)}: it shows {told}", "rule_test", f"{pointer}/fields")
    if test.result is not None:
        result = dict(judged.verdict.result or {}) if judged.verdict is not None else {}
        wanted = stored_form(schema, test.result)
        for name in wanted:
            if name not in result or not are_equal(_plain(result[name]), _plain(wanted[name])):
                detail = f"{_named(test, principal)}: `{name}` is not that in the result"
                yield Violation(detail, "rule_test", f"{pointer}/result")


def _verb(test: RuleTest) -> Verb:
    found = next((verb for verb in VERBS if verb == test.verb), None)
    if found is None:
        detail = f"`{test.verb[:40]}` is not one of {', '.join(VERBS)}"
        fault = Violation(detail, "enum", "/verb", hint=suggestion(test.verb[:40], VERBS))
        raise DocumentInvalid(detail, errors=[fault])
    return found


def _check_documents(test: RuleTest, verb: Verb, schema: Schema) -> None:
    """Raise DocumentInvalid for a member that means nothing for the verb, or that cannot be stored."""
    misplaced = [
        (test.before is not None and verb != "update", "before", "only a change has a document before it"),
        (test.fields is not None and verb not in GROUPS["read"], "fields", "only a read shows fields"),
        (test.result is not None and verb not in ("create", "update"), "result", "only a write has a result"),
        (test.fields is not None and test.expect == "deny", "fields", "what is denied shows no fields"),
        (test.result is not None and test.expect == "deny", "result", "what is denied has no result"),
        (test.fields is not None and test.document is None, "fields", "`fields` needs a `document`"),
    ]
    faults = [Violation(detail, "form", f"/{name}") for is_wrong, name, detail in misplaced if is_wrong]
    for name, document in (("before", test.before), ("document", test.document), ("result", test.result)):
        try:
            stored_form(schema, document or {})
        except DocumentInvalid as failure:
            faults += [replace(each, pointer=f"/{name}{each.pointer or ''}") for each in failure.errors]
    if faults:
        raise DocumentInvalid(faults[0].detail, errors=faults)


def _named(test: RuleTest, principal: Principal) -> str:
    who = f"`{principal.id}`" if principal.is_signed_in else "anyone"
    return f"`{test.name}`" if test.name else f"{test.verb} as {who}"


def _plain(value: Any) -> Any:
    """Return BSON's unhashable values as text."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value if isinstance(value, str | bool | int | float) or value is None else repr(value)
