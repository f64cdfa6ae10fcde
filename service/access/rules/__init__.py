"""Rules: who may do what in a collection, in the language of the clients' own filters."""

from service.access.rules.compiled import Rules, compile  # noqa: A004  # read with its module: rules.compile
from service.access.rules.words import GROUPS, VERBS, WORDS, Verb

__all__ = ["GROUPS", "VERBS", "WORDS", "Rules", "Verb", "compile"]
