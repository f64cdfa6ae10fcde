"""Regular expressions for literal text that MongoDB (PCRE2) and Python read alike.

Letter case is spelt out as character classes instead of a flag: the engines fold some letters differently.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache


def contains(text: str) -> str:
    r"""Give the pattern of values that hold the text.

    >>> contains("a.b*")
    'a\\.b\\*'
    """
    return re.escape(text).replace("\0", r"\x00")  # MongoDB refuses a NUL in a pattern, not its escape


def startswith(text: str) -> str:
    """Give the pattern of values that begin with the text, in the form that lets MongoDB use an index."""
    return "^" + contains(text)


def icontains(text: str) -> str:
    """Give the pattern of values that hold the text in any letter case.

    >>> icontains("Ab1")
    '[Aa][Bb]1'
    """
    return "".join(map(_any_case, text))


PATTERNS: Mapping[str, Callable[[str], str]] = {
    "contains": contains,
    "icontains": icontains,
    "startswith": startswith,
}


@lru_cache(maxsize=256)
def compiled(operator: str, text: str) -> re.Pattern[str]:
    """Give the compiled pattern of a text operator, one of PATTERNS."""
    return re.compile(PATTERNS[operator](text))


def _any_case(letter: str) -> str:
    folded = letter.casefold()
    variants = {letter, letter.lower(), letter.upper(), letter.title(), folded, folded.upper()}
    single = sorted(variant for variant in variants if len(variant) == 1)
    return contains(letter) if len(single) == 1 else f"[{''.join(single)}]"
