"""What administrators send about accounts."""

import re
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from service.access.principals import ROLE_PATTERN
from service.identity.core.accounts import Email, Name, NewPassword
from service.kit.forms import Form

MAXIMUM_ROLES = 50
MAXIMUM_ROLES_BYTES = 512
MAXIMUM_ATTRIBUTES = 20
MAXIMUM_ATTRIBUTES_BYTES = 1024
"""Roles and attributes are in every access token, which has to fit a cookie: 4096 bytes with its name."""

SMALLEST, LARGEST = -(2**63), 2**63 - 1
"""The integers that MongoDB stores."""

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SCALARS = (str, int, float, bool)


def checked_roles(roles: list[str]) -> list[str]:
    """Return roles in order, each once; raises ValueError.

    >>> checked_roles(["editor", "author", "editor"])
    ['author', 'editor']
    """
    if not all(ROLE_PATTERN.fullmatch(role) for role in roles):
        raise ValueError("a role is a letter followed by at most 62 of a-z, 0-9, _ and -")
    granted = sorted(set(roles))
    if len(orjson.dumps(granted)) > MAXIMUM_ROLES_BYTES:
        raise ValueError(f"roles take at most {MAXIMUM_ROLES_BYTES} bytes as JSON")
    return granted


def checked_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes back if they are flat and small; raises ValueError.

    >>> checked_attributes({"team": "red", "regions": ["eu", "us"]})
    {'team': 'red', 'regions': ['eu', 'us']}
    """
    if len(attributes) > MAXIMUM_ATTRIBUTES:
        raise ValueError(f"there are at most {MAXIMUM_ATTRIBUTES} attributes")
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise ValueError("an attribute's name is a letter followed by at most 62 of a-z, 0-9 and _")
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, _SCALARS):
                raise ValueError(f"`{name}` is text, a number, true, false, or a list of such")  # noqa: TRY004
            if isinstance(each, int) and not SMALLEST <= each <= LARGEST:
                raise ValueError(f"`{name}` is an integer of more than 64 bits")
    if len(orjson.dumps(attributes)) > MAXIMUM_ATTRIBUTES_BYTES:
        raise ValueError(f"attributes take at most {MAXIMUM_ATTRIBUTES_BYTES} bytes as JSON")
    return attributes


Roles = Annotated[list[str], Field(max_length=MAXIMUM_ROLES), AfterValidator(checked_roles)]
Attributes = Annotated[dict[str, Any], AfterValidator(checked_attributes)]


class NewUser(Form):
    """An account that an administrator makes; without a password its owner sets one by the reset mail."""

    email: Email
    password: NewPassword | None = None
    name: Name | None = None
    roles: Roles = []
    attributes: Attributes = {}
    is_email_verified: bool = False


class ChosenPassword(Form):
    """A password that somebody chose."""

    password: NewPassword


class UserChange(Form):
    """What an administrator may change about an account, as a merge patch; only `name` can be removed."""

    email: Email = ""
    name: Name | None = None
    roles: Roles = []
    attributes: Attributes = {}
    is_email_verified: bool = False
    is_disabled: bool = False
