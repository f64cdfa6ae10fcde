"""How hard a password is to guess, by the estimator zxcvbn."""

import re
from collections.abc import Iterable

from zxcvbn_rs_py import zxcvbn

ESTIMATED_CHARACTERS = 32
"""How much of a password is looked at. What is hard to guess so far is not easier with more behind it, and
the estimator's worst input takes 50 ms at this length but half a second at 128. It holds the interpreter's
lock meanwhile, so that a thread would not help; any usual password takes less than 1 ms."""

READ_CHARACTERS = 200

MAXIMUM_WORDS = 12
MINIMUM_WORD_CHARACTERS = 3

_PARTS = re.compile(r"[^\W_]+")


def score(password: str, about: Iterable[str | None] = ()) -> int:
    """Rate a password from 0, guessed at once, to 4; `about` is what others know of its owner.

    >>> score("password1"), score("ada.lovelace", ["Ada.Lovelace@example.com"]), score("kitchen lamp seven")
    (0, 0, 4)
    """
    return int(zxcvbn(password[:ESTIMATED_CHARACTERS], _words(about)).score)


def advice(password: str, about: Iterable[str | None] = ()) -> str:
    """Say why a password is easy to guess and what to do, without repeating any of it.

    >>> advice("password1")
    'This is a very common password. Add another word or two. Uncommon words are better.'
    """
    feedback = zxcvbn(password[:ESTIMATED_CHARACTERS], _words(about)).feedback
    if feedback is None:
        return "Use more words, or a longer random text."
    warning = [] if feedback.warning is None else [feedback.warning]
    return " ".join(str(sentence) for sentence in (*warning, *feedback.suggestions))


def _words(about: Iterable[str | None]) -> list[str]:
    """Give what an owner's address and name are made of, whole and in parts, at most MAXIMUM_WORDS."""
    texts = [text[:READ_CHARACTERS].partition("@")[0] for text in about if text]
    texts += [text[:READ_CHARACTERS] for text in about if text]
    parts = [part for text in texts for part in _PARTS.findall(text)]
    words = dict.fromkeys(each.lower() for each in (*texts, *parts) if len(each) >= MINIMUM_WORD_CHARACTERS)
    return list(words)[:MAXIMUM_WORDS]
