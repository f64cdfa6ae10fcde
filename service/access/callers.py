"""Callers as administrators describe them, to try rules out: `{"id": …, "roles": […]}`, or `anyone`."""

from dataclasses import replace
from typing import Any

from pydantic import Field

from service.access.principals import ANONYMOUS, ROLE_PATTERN, Principal
from service.kit import forms
from service.kit.errors import DocumentInvalid, Violation
from service.kit.forms import Form

MAXIMUM_ROLES = 50
MAXIMUM_ATTRIBUTES = 50
MAXIMUM_TEXT_CHARACTERS = 320

SOMEBODY = "000000000000000000000000"
"""The id of a described caller without one."""


class Caller(Form):
    """A signed-in user who need not exist."""

    id: str = Field(SOMEBODY, min_length=1, max_length=MAXIMUM_TEXT_CHARACTERS)
    roles: list[str] = Field(default_factory=list, max_length=MAXIMUM_ROLES)
    email: str | None = Field(None, max_length=MAXIMUM_TEXT_CHARACTERS)
    email_verified: bool = True
    name: str | None = Field(None, max_length=MAXIMUM_TEXT_CHARACTERS)
    attributes: dict[str, Any] = Field(default_factory=dict, max_length=MAXIMUM_ATTRIBUTES)


def read(value: Any, pointer: str) -> Principal:
    """Read a described caller; `anyone` and null are the anonymous one.

    Raises DocumentInvalid with every fault, the pointers below `pointer`.

    >>> read({"roles": ["editor"]}, "/as").roles
    frozenset({'editor'})
    """
    if value is None or value == "anyone":
        return ANONYMOUS
    if not isinstance(value, dict):
        detail = 'a caller is "anyone", null or an object such as {"id": "…", "roles": ["editor"]}'
        raise DocumentInvalid(detail, errors=[Violation(detail, "type", pointer)])
    try:
        form = forms.read(Caller, value)
    except DocumentInvalid as failure:
        below = [replace(each, pointer=f"{pointer}{each.pointer or ''}") for each in failure.errors]
        raise DocumentInvalid(failure.detail, errors=below) from None
    if not all(ROLE_PATTERN.fullmatch(role) for role in form.roles):
        fault = Violation("not all of these can be a role's name", "pattern", f"{pointer}/roles")
        raise DocumentInvalid(fault.detail, errors=[fault])
    return Principal(
        kind="user",
        id=form.id,
        roles=frozenset(form.roles),
        email=form.email,
        is_email_verified=form.email_verified,
        name=form.name,
        attributes=form.attributes,
    )
