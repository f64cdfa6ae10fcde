"""Kinds of settings: how they are written in the environment, named in messages, and shown to people."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from service.kit.origins import spelled

MASK = "********"


def split(value: object) -> object:
    """Take "a, b" for ["a", "b"], the way lists are written in the environment."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]
PageOrigins = Annotated[tuple[Annotated[str, AfterValidator(spelled)], ...], NoDecode, BeforeValidator(split)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split)]

DELIMITER = "__"
"""What stands between the parts of a variable's name that sets a part of a setting."""


def field_of(location: Sequence[int | str]) -> str:
    """Name the field at fault by its location in the settings; within a mapping, the part of it.

    >>> field_of(("port",)), field_of(("oidc_providers", "acme", "issuer")), field_of(("trusted_proxies", 0))
    ('port', 'oidc_providers__acme__issuer', 'trusted_proxies')
    """
    is_mapping = len(location) > 1 and isinstance(location[1], str) and location[0] == "oidc_providers"
    return DELIMITER.join(map(str, location)) if is_mapping else str(location[0])


def masked(value: object) -> str:
    """Return a setting's value for people to read, without what is secret in it.

    >>> masked(SecretStr("mongodb://ada:secret@db.example/a?x=1")), masked((SecretStr("a"), SecretStr("b")))
    ('mongodb://db.example/a', '********,********')
    >>> masked(SecretStr("mongodb://ada:not/escaped@here@db.example/a"))
    'mongodb://db.example/a'
    """
    if isinstance(value, SecretStr):
        uri = re.fullmatch(r"(mongodb(?:\+srv)?://)(?:.*@)?([^?]*).*", value.get_secret_value())
        return f"{uri[1]}{uri[2]}" if uri else MASK
    if isinstance(value, tuple):
        return ",".join(masked(part) for part in value)
    if isinstance(value, Mapping):
        return ",".join(f"{name}({masked(part)})" for name, part in value.items())
    if isinstance(value, BaseModel):
        parts = ((name, getattr(value, name)) for name in type(value).model_fields)
        return " ".join(f"{name}={masked(part)}" for name, part in parts if part is not None)
    return "" if value is None else str(value)
