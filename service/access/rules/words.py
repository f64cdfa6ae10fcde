"""The words of the rules language, its limits, and which member means something for which verb."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Verb = Literal["list", "get", "create", "update", "delete", "watch"]

VERBS: tuple[Verb, ...] = get_args(Verb)
GROUPS: Mapping[str, tuple[Verb, ...]] = MappingProxyType(
    {
        "read": ("list", "get", "watch"),
        "write": ("create", "update", "delete"),
    }
)
"""What stands for several verbs; a rule for one of them by name wins over its group's."""

OWNER_PATH = ("_owner",)
WORDS = ("anyone", "user", "owner", "nobody")
ROLE_PREFIX = "role:"

MEMBERS = ("role", "where", "check", "set", "fields")
"""The members of an alternative that is written as an object."""

MASKS = ("only", "except")
"""The members of `fields` that is written as an object."""

_READ = frozenset({"role", "where", "fields"})
MEMBERS_OF: Mapping[Verb, frozenset[str]] = MappingProxyType(
    {
        "list": _READ,
        "get": _READ,
        "watch": _READ,
        "create": frozenset({"role", "check", "set", "fields"}),
        "update": frozenset(MEMBERS),
        "delete": frozenset({"role", "where"}),
    }
)
"""The members that mean something for a verb."""

MAXIMUM_ALTERNATIVES = 50
MAXIMUM_RULES_BYTES = 65_536
MAXIMUM_MASK_FIELDS = 100
MAXIMUM_NESTING = 10
MAXIMUM_OFFSET_DAYS = 36_500

MEANINGS = MappingProxyType(
    {
        "MAXIMUM_ALTERNATIVES": "alternatives of one rule",
        "MAXIMUM_RULES_BYTES": "bytes of a collection's rules, as compact JSON",
        "MAXIMUM_MASK_FIELDS": "paths that one `fields` names",
        "MAXIMUM_NESTING": "levels of objects and arrays in a value of `set`",
        "MAXIMUM_OFFSET_DAYS": "days that `$now` may be moved by",
    }
)
"""What each limit bounds, for the documentation; the conditions have the limits of every filter."""


def verbs_of(name: str) -> tuple[Verb, ...]:
    """Return the verbs that a rule's name stands for; none for another word.

    >>> verbs_of("write"), verbs_of("get"), verbs_of("fly")
    (('create', 'update', 'delete'), ('get',), ())
    """
    return GROUPS.get(name) or tuple(verb for verb in VERBS if verb == name)
