"""JSON pointers (RFC 6901): how a place in a document, a schema or a body is written."""

from collections.abc import Iterable


def escape(part: str | int) -> str:
    """Return one step of a pointer, with its leading slash.

    >>> escape("a/b~c")
    '/a~1b~0c'
    """
    return "/" + str(part).replace("~", "~0").replace("/", "~1")


def join(parts: Iterable[str | int]) -> str:
    """Return the pointer to a place; the empty text is the whole document.

    >>> join(["tags", 0])
    '/tags/0'
    """
    return "".join(map(escape, parts))


def split(pointer: str) -> list[str]:
    """Return the steps of a well-formed pointer: what `join` was given, numbers as texts.

    >>> split("/a~1b/m~0n/0"), split("")
    (['a/b', 'm~n', '0'], [])
    """
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
