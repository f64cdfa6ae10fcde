from typing import Any

import pytest

from service.http.controllers.auth import Credentials, Registration
from service.http.controllers.profile import ProfileChange
from service.kit import forms
from service.kit.errors import DocumentInvalid, Violation
from service.kit.forms import Form

PASSWORD = "long enough"
NOT_TEXT = "Input should be a valid string"


def test_registration_is_read_with_a_normalised_address() -> None:
    read = forms.read(Registration, {"email": "Ada@EXAMPLE.com", "password": PASSWORD, "name": "Ada"})
    assert read.model_dump() == {"email": "Ada@example.com", "password": PASSWORD, "name": "Ada"}


def test_absent_member_of_a_profile_change_differs_from_null() -> None:
    assert forms.read(ProfileChange, {}).model_fields_set == set()
    assert forms.read(ProfileChange, {"name": None}).model_fields_set == {"name"}


@pytest.mark.parametrize(
    ("form", "body", "violations"),
    [
        (
            Credentials,
            {"email": {"$gt": ""}, "password": {"$gt": ""}},
            [Violation(NOT_TEXT, "type", "/email"), Violation(NOT_TEXT, "type", "/password")],
        ),
        (
            Credentials,
            {},
            [
                Violation("`email` is required", "required", "/email"),
                Violation("`password` is required", "required", "/password"),
            ],
        ),
        (
            Credentials,
            {"email": ["a@x.io"], "password": 12345678},
            [Violation(NOT_TEXT, "type", "/email"), Violation(NOT_TEXT, "type", "/password")],
        ),
        (
            Credentials,
            {"email": "a@x.io", "passwort": "x", "password": "x" * 129},
            [
                Violation("String should have at most 128 characters", "maxLength", "/password"),
                Violation(
                    "`passwort` cannot be given here",
                    "additionalProperties",
                    "/passwort",
                    hint="Did you mean `password`?",
                ),
            ],
        ),
        (
            Registration,
            {"email": "a@x.io", "password": PASSWORD, "id": "1", "roles": ["admin"], "a/b": 1},
            [
                Violation("`id` cannot be given here", "additionalProperties", "/id"),
                Violation("`roles` cannot be given here", "additionalProperties", "/roles"),
                Violation("`a/b` cannot be given here", "additionalProperties", "/a~1b"),
            ],
        ),
        (
            Registration,
            {"email": "nobody", "password": "short", "name": ""},
            [
                Violation("An email address must have an @-sign.", "format", "/email"),
                Violation("String should have at least 8 characters", "minLength", "/password"),
                Violation("String should have at least 1 character", "minLength", "/name"),
            ],
        ),
        (
            ProfileChange,
            {"roles": ["admin"], "email_verified": True, "_version": 9},
            [
                Violation("`roles` cannot be given here", "additionalProperties", "/roles"),
                Violation("`email_verified` cannot be given here", "additionalProperties", "/email_verified"),
                Violation("`_version` cannot be given here", "additionalProperties", "/_version"),
            ],
        ),
    ],
)
def test_invalid_form_reports_every_error(form: type[Form], body: Any, violations: list[Violation]) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        forms.read(form, body)
    assert list(caught.value.errors) == violations


@pytest.mark.parametrize("body", [None, [], "text", 1, [{"email": "a@x.io"}]])
def test_form_that_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(DocumentInvalid, match="The body must be a JSON object") as caught:
        forms.read(Credentials, body)
    assert caught.value.errors == ()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "a@",
        "@x.io",
        "a@b",
        "a@localhost",
        "a b@x.io",
        "Ada <a@x.io>",
        "a@x.io\n",
        "a@x.io,b@x.io",
        "a@[127.0.0.1]",
    ],
)
def test_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        forms.read(Registration, {"email": address, "password": PASSWORD})
    assert [(each.pointer, each.code) for each in caught.value.errors] == [("/email", "format")]


def test_many_faults_name_the_first_hundred_and_count_all() -> None:
    with pytest.raises(DocumentInvalid) as caught:
        forms.read(Credentials, {f"emai{number}": 1 for number in range(5000)})
    assert (len(caught.value.errors), caught.value.detail) == (100, "5002 fields are invalid")
