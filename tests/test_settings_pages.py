"""`.env.example` and docs/reference/settings.md say of every setting what the class says."""

import re
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.runtime.settings import Settings, variable

ROOT = Path(__file__).parents[1]
FIELDS = Settings.model_fields
REQUIRED_IN_PRODUCTION = {"MONGODB_URI", "SHEAF_JWT_SECRET"}

KINDS: dict[Any, str] = {bool: "true or false", float: "number", int: "integer", Path: "path", str: "text"}


def kind(field: FieldInfo) -> str:
    """Return the type of a setting in words."""
    annotation = field.annotation
    alternatives = [one for one in get_args(annotation) if one is not NoneType]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{one}`" for one in alternatives)
    if get_origin(annotation) is tuple:
        return "list"
    if get_origin(annotation) is dict:
        return "mapping"
    word = KINDS.get(alternatives[0] if alternatives else annotation, "secret")
    return f"{word} {limits(field)}".strip()


def limits(field: FieldInfo) -> str:
    low = [f"{'above ' if isinstance(one, Gt) else ''}{bound(one)}" for one in field.metadata if is_low(one)]
    high = [str(one.le) for one in field.metadata if isinstance(one, Le)]
    return " to ".join(low + high)


def is_low(one: object) -> bool:
    return isinstance(one, Ge | Gt)


def bound(one: Any) -> str:
    return str(one.ge if isinstance(one, Ge) else one.gt)


def default(field: FieldInfo) -> str:
    return "" if field.default in (None, (), {}) else str(field.default)


def row(name: str) -> str:
    """Return the line of docs/reference/settings.md for a setting."""
    field = FIELDS[name]
    shown = f"`{default(field)}`" if default(field) else "none"
    return f"| `{variable(name)}` | {kind(field)} | {shown} | {field.description} |"


def lines(name: str) -> str:
    """Return the lines of `.env.example` for a setting."""
    field = FIELDS[name]
    mark = "" if variable(name) in REQUIRED_IN_PRODUCTION else "# "
    return f"# {field.description}\n{mark}{variable(name)}={default(field)}\n"


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_documented(name: str) -> None:
    assert row(name) in (ROOT / "docs/reference/settings.md").read_text().splitlines()


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_in_example_file(name: str) -> None:
    assert lines(name) in (ROOT / ".env.example").read_text()


def test_documentation_and_example_name_no_unknown_setting() -> None:
    known = {variable(name) for name in FIELDS}
    for page in ("docs/reference/settings.md", ".env.example"):
        named = re.findall(
            r"^(?:\| `|(?:# )?)([A-Z][A-Z_]+)(?:` \||=)", (ROOT / page).read_text(), re.MULTILINE
        )
        assert sorted(named) == sorted(known)


def test_secret_settings_have_no_default() -> None:
    for name, field in FIELDS.items():
        if SecretStr in get_args(field.annotation):
            assert not field.default, name
