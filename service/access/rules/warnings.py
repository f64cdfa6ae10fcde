"""What deserves a second look in rules that are right in form: a sentence for each."""

from collections.abc import Iterator, Mapping

from service.access.rules import placeholders
from service.access.rules.alternatives import Alternative
from service.access.rules.masks import read_only_paths
from service.access.rules.plans import always_decides
from service.access.rules.words import GROUPS, ROLE_PREFIX, WORDS, Verb
from service.kit.errors import suggestion
from service.query.fields import Field

MAXIMUM_WARNINGS = 50

Alternatives = Mapping[Verb, tuple[Alternative, ...]]

CHOSEN = "$user.name"
"""The value that does not say for certain who somebody is."""

_CHANGES: tuple[Verb, ...] = ("create", "update")


def of(alternatives: Alternatives, root: Field | None) -> list[str]:
    """Give the warnings of a collection's rules, each once, the gravest first."""
    found = [
        *_open(alternatives),
        *_every_document(alternatives),
        *_unproved(alternatives),
        *_unguarded_creation(alternatives),
        *_unread(alternatives),
        *_never_reached(alternatives),
        *_unwritable(alternatives, root),
        *_misspelt(alternatives),
    ]
    return list(dict.fromkeys(found))[:MAXIMUM_WARNINGS]


def _open(alternatives: Alternatives) -> Iterator[str]:
    for verb in GROUPS["write"]:
        if any(each.audience.is_for_anyone and not each.narrows for each in alternatives[verb]):
            yield f"Anyone may {verb} documents without signing in."


def _every_document(alternatives: Alternatives) -> Iterator[str]:
    """Warn where whoever registers changes what others made; a mask that names fields says what is meant."""
    for verb in ("update", "delete"):
        for each in alternatives[verb]:
            is_for_users = not each.audience.is_for_anyone and each.audience.role is None
            names_fields = each.fields is not None and not each.fields.is_exclusion
            if is_for_users and not each.narrows and not names_fields:
                yield f"Any signed-in user may {verb} every document."


def _unproved(alternatives: Alternatives) -> Iterator[str]:
    """Warn where whoever registers under another's name is taken for them."""
    for several in alternatives.values():
        for each in several:
            for part in (each.where, each.check):
                pending = [] if part is None else [one.value for _, one in part.uses]
                asked = {found.text for value in pending for found in placeholders.within(value)}
                if CHOSEN in asked:
                    yield f"`{each.pointer}` goes by `{CHOSEN}`, which callers choose themselves."


def _unguarded_creation(alternatives: Alternatives) -> Iterator[str]:
    """Warn of a `where` under `write` that was perhaps meant for what is created too."""
    narrowed = {each.pointer for each in alternatives["update"] if each.where is not None}
    for each in alternatives["create"]:
        if each.pointer in narrowed and each.check is None:
            yield (
                f"The `where` of `{each.pointer}` says nothing of new documents: "
                f"{_lowered(each.audience.named)} may create any; add a `check`, or a rule for `create`."
            )


def _unread(alternatives: Alternatives) -> Iterator[str]:
    for each in alternatives["update"]:
        readers = [reader for reader in alternatives["get"] if reader.audience.covers(each.audience)]
        if not readers:
            yield f"{each.audience.named} may update documents, and get none of them."
        elif not each.narrows and all(reader.narrows for reader in readers):
            yield f"{each.audience.named} may update documents that they cannot get."


def _never_reached(alternatives: Alternatives) -> Iterator[str]:
    for several in alternatives.values():
        for position, each in enumerate(several):
            before = (
                one
                for one in several[:position]
                if always_decides(one) and one.audience.covers(each.audience)
            )
            first = next(before, None)
            if first is not None:
                yield (
                    f"`{each.pointer}` is never reached: `{first.pointer}` comes first and admits everybody "
                    "whom it is for."
                )


def _unwritable(alternatives: Alternatives, root: Field | None) -> Iterator[str]:
    for verb in _CHANGES:
        for each in alternatives[verb]:
            if root is not None and each.fields is not None:
                for path in read_only_paths(each.fields, root):
                    yield f"`{each.pointer}/fields` names `{path}`, which is readOnly: no body can change it."


def _misspelt(alternatives: Alternatives) -> Iterator[str]:
    for several in alternatives.values():
        for each in several:
            near = suggestion(each.word, WORDS)
            if each.word not in WORDS and not each.word.startswith(ROLE_PREFIX) and near:
                yield f"`{each.pointer}/role` is taken for the role `{each.word}`. {near}"


def _lowered(words: str) -> str:
    return words[0].lower() + words[1:]
