"""What the parts of the contract are called: one name for each collection, none of which meets another."""

import re
from collections.abc import Iterable

_AFTER_HYPHEN = re.compile(r"-([a-z])")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


def base(collection: str) -> str:
    """Give the beginning of the names of a collection's schemas and operations; each collection has its own.

    >>> base("products"), base("blog-posts"), base("blog_posts"), base("a-1")
    ('Products', 'BlogPosts', 'Blog_posts', 'A-1')
    """
    return collection[:1].upper() + _AFTER_HYPHEN.sub(lambda match: match[1].upper(), collection[1:])


def below(base_name: str, pointers: Iterable[str]) -> dict[str, str]:
    """Name the subschemas at some pointers after their last part, with numbers where that is not enough.

    >>> below("ProductsCreate", ["/$defs/part", "/properties/part", "/$defs/a b"])
    {'/$defs/part': 'ProductsCreate.part', '/properties/part': 'ProductsCreate.part.2', '/$defs/a b': \
'ProductsCreate.a-b'}
    """
    named: dict[str, str] = {}
    taken: set[str] = set()
    for pointer in pointers:
        last = _NOT_IN_NAMES.sub("-", pointer.rpartition("/")[2]) or "part"
        name, number = f"{base_name}.{last}", 1
        while name in taken:
            number += 1
            name = f"{base_name}.{last}.{number}"
        taken.add(name)
        named[pointer] = name
    return named


def reference(name: str) -> dict[str, str]:
    """Give the reference to a schema of the contract."""
    return {"$ref": f"#/components/schemas/{name}"}
