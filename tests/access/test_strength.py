import pytest

from service.identity.core import hashing
from service.identity.core.hashing import Demands
from service.kit.errors import DocumentInvalid
from tests.pace import within


@pytest.mark.parametrize(
    ("password", "about"),
    [
        ("password1", ()),
        ("12345678901234567890", ()),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", ()),
        ("password" * 16, ()),
        ("P@ssw0rd!", ()),
        ("ann.lovelace", ("ann.lovelace@example.com", None)),
        ("Wolfeschlegel", ("x@example.com", "Hubert Wolfeschlegel")),
        ("wolfeschlegelstein@example.com", ("Wolfeschlegelstein@example.com", None)),
    ],
)
def test_weak_password_is_refused(password: str, about: tuple[str | None, ...]) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        Demands().check(password, *about)
    (fault,) = caught.value.errors
    assert (fault.code, fault.pointer) == ("strength", "/password")
    assert fault.hint
    assert password.lower() not in str(caught.value.problem(instance="", request_id="")).lower()


@pytest.mark.parametrize(
    "password", ["correct horse", "kitchen lamp seven", "\U0001f40e battery staple", "x7#kQ!p2Z"]
)
def test_strong_password_is_accepted(password: str) -> None:
    Demands().check(password, "ann@example.com", "Ann")


def test_demands_are_configurable() -> None:
    Demands(score=0).check("password1")
    with pytest.raises(DocumentInvalid) as caught:
        Demands(characters=15, score=0).check("correct horse")
    assert [fault.code for fault in caught.value.errors] == ["minLength"]


@pytest.mark.parametrize(
    "part", ["4@8({[<369&#!1/|0$5+7%2/", "4a@", "aA4@bB8", "password1!", "\u00e9", "12/12/"]
)
def test_worst_password_is_rated_quickly(part: str) -> None:
    worst = (part * 128)[:128]
    hashing.strength("")
    with within(0.5):
        hashing.strength(worst, ["\u00e9" * 320, "a b " * 80])
