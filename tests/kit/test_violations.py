"""The collector of violations, and the sentences that count them."""

from collections.abc import Iterator

import pytest

from service.kit.errors import (
    MAXIMUM_VIOLATIONS,
    Conflict,
    DefinitionInvalid,
    Duplicate,
    Failure,
    JsonInvalid,
    ParameterInvalid,
    Violation,
)
from service.kit.violations import Violations, at, field_invalid

DID_YOU_MEAN = "Did you mean `price`?"


def raised(violations: Violations, several: str | None = None) -> Failure:
    with pytest.raises(ParameterInvalid) as caught:
        violations.raise_if_any(ParameterInvalid, several)
    return caught.value


def test_nothing_is_raised_without_a_violation() -> None:
    violations = Violations()
    violations.raise_if_any(ParameterInvalid)
    assert (len(violations), list(violations), bool(violations)) == (0, [], False)


def test_failure_with_one_violation_says_it_and_its_hint() -> None:
    violations = Violations()
    violations.add("`prise` is unknown", "unknown", "/prise", DID_YOU_MEAN)
    failure = raised(violations, "parameters are invalid")
    assert (failure.detail, failure.hint) == ("`prise` is unknown", DID_YOU_MEAN)
    assert failure.errors == (Violation("`prise` is unknown", "unknown", "/prise", None, DID_YOU_MEAN),)


def test_failure_with_several_violations_counts_them_or_says_the_first() -> None:
    violations = Violations()
    violations.add("one", "type", parameter="a")
    violations.add("two", "type", parameter="b")
    assert raised(violations, "parameters are invalid").detail == "2 parameters are invalid"
    failure = raised(violations)
    assert (failure.detail, failure.hint) == ("one", None)
    assert [each.parameter for each in failure.errors] == ["a", "b"]


def test_same_violation_is_there_once() -> None:
    violations = Violations()
    for _ in range(3):
        violations.add("one", "type", "/a")
    assert len(violations) == 1


def test_violations_are_counted_beyond_those_that_are_kept() -> None:
    violations = Violations()
    for number in range(MAXIMUM_VIOLATIONS + 50):
        violations.add("wrong", "type", f"/{number}")
    assert (len(violations), len(list(violations))) == (MAXIMUM_VIOLATIONS + 50, MAXIMUM_VIOLATIONS)
    assert raised(violations, "fields are invalid").detail == f"{MAXIMUM_VIOLATIONS + 50} fields are invalid"


def test_endless_violations_of_a_generator_are_not_waited_for() -> None:
    def endless() -> Iterator[Violation]:
        number = 0
        while True:
            yield Violation("wrong", "type", f"/{number}")
            number += 1

    violations = Violations()
    violations.extend(endless())
    assert len(list(violations)) == MAXIMUM_VIOLATIONS


def test_long_or_unprintable_pointer_is_shortened() -> None:
    violations = Violations()
    violations.add("wrong", "type", "/" + "a\n" * 1000)
    [found] = violations
    assert found.pointer == "/" + ("a?" * 1000)[:299] + "…"
    assert at("/rules", "a/b" * 100) == "/rules/" + ("a/b" * 100)[:64].replace("/", "~1") + "…"


def test_few_words_get_a_suggestion() -> None:
    violations = Violations(suggestions=2)
    found = [violations.suggest(word, ["price"]) for word in ("p" * 65, "prise", "pricee", "prixe")]
    assert found == [None, "Did you mean `price`?", "Did you mean `price`?", None]


def test_unknown_members_are_named_with_their_pointers() -> None:
    violations = Violations()
    assert violations.members({"price": 1, "pri/ce": 2}, ("price", "name"), "/index", "an index") is False
    assert violations.members({"price": 1}, ("price", "name"), "/index", "an index") is True
    assert list(violations) == [
        Violation(
            "`pri/ce` is not a member of an index", "unknown", "/index/pri~1ce", None, "Did you mean `price`?"
        )
    ]


def test_value_that_is_no_object_has_no_members() -> None:
    violations = Violations()
    assert violations.members([], ("price",), "/index", "an index") is False
    assert list(violations) == [Violation("an index is not an object", "type", "/index")]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (
            DefinitionInvalid("wrong", errors=[Violation("one", "type", "/a"), Violation("two", "type")]),
            [Violation("one", "type", "/part/a"), Violation("two", "type", "/part")],
        ),
        (JsonInvalid("not JSON"), [Violation("not JSON", "json.invalid", "/part")]),
    ],
)
def test_violations_of_a_part_are_those_of_the_whole(failure: Failure, expected: list[Violation]) -> None:
    def part() -> int:
        raise failure

    violations = Violations()
    assert violations.read(part, "/part") is None
    assert list(violations) == expected


def test_part_that_is_right_is_returned() -> None:
    violations = Violations()
    assert violations.read(lambda: 5) == 5
    assert not violations


def test_other_failures_of_a_part_are_raised() -> None:
    def part() -> int:
        raise Duplicate

    with pytest.raises(Conflict):
        Violations().read(part)


def test_failure_of_one_field_counts_it() -> None:
    failure = field_invalid("too short", "minLength", "/password", "Take a longer one.")
    assert failure.detail == "1 field is invalid"
    assert failure.errors == (Violation("too short", "minLength", "/password", None, "Take a longer one."),)
