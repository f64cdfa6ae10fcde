"""Whether what is stored can be, given what clients were told: nothing lost, nothing done twice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.measuring.failing.history import Creation, Guarded, History, Outcome, Tally

Stored = Mapping[str, Any]


@dataclass(slots=True)
class Verdict:
    """What does not hold, a sentence each."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Neither, and yet not what it should be: other content, deleted and there, never asked for."""

    @property
    def sentences(self) -> list[str]:
        """All of them."""
        return [*self.lost, *self.duplicated, *self.wrong]


def judge(history: History, stored: Iterable[Stored]) -> Verdict:
    """Compare what is stored, all documents of the collection, with what clients asked and were told.

    No request may be under way meanwhile.
    """
    found: defaultdict[str, list[Stored]] = defaultdict(list)
    for document in stored:
        found[document["name"]].append(document)
    verdict = Verdict(wrong=list(history.contradictions))
    for name in found:
        if not history.has_said(name):
            verdict.wrong.append(f"{name} is stored, and nobody asked for it")
    for creation in history.creations.values():
        _judge_creation(creation, found[creation.name], verdict)
    for name, tally in history.tallies.items():
        for document in _single(name, found[name], verdict):
            _judge_tally(name, tally, document, verdict)
    for name, guarded in history.guarded.items():
        for document in _single(name, found[name], verdict):
            _judge_guarded(name, guarded, document, verdict)
    return verdict


def _judge_creation(creation: Creation, documents: list[Stored], verdict: Verdict) -> None:
    name, count = creation.name, len(documents)
    if count > 1:
        verdict.duplicated.append(f"{name} is stored {count} times after {creation.tries} tries")
    if creation.deletion is Outcome.ACKNOWLEDGED:
        if count:
            verdict.wrong.append(f"{name} is stored, and its deletion was acknowledged")
    elif creation.outcome is Outcome.ACKNOWLEDGED and not count and creation.deletion is not Outcome.UNKNOWN:
        verdict.lost.append(f"{name} was acknowledged and is not stored")
    if creation.outcome is Outcome.REFUSED and count:
        verdict.wrong.append(f"{name} is stored, and was refused")
    for document in documents:
        differing = [key for key, value in creation.content.items() if document.get(key) != value]
        if differing:
            verdict.wrong.append(f"{name} is stored with another {' and '.join(differing)}")


def _judge_tally(name: str, tally: Tally, document: Stored, verdict: Verdict) -> None:
    number, most = document["price"], tally.acknowledged + tally.unknown
    if number < tally.acknowledged:
        verdict.lost.append(f"{name} is {number:g} after {tally.acknowledged} acknowledged increments")
    elif number > most:
        verdict.duplicated.append(f"{name} is {number:g} after {most} increments at the most")
    if document["_version"] != number + 1:
        verdict.wrong.append(f"{name} is {number:g} at version {document['_version']}")
    for version in _repeated(tally.versions):
        verdict.lost.append(f"{name} came to version {version} by two acknowledged increments")


def _judge_guarded(name: str, guarded: Guarded, document: Stored, verdict: Verdict) -> None:
    version, number = document["_version"], document["price"]
    for each, numbers in guarded.acknowledged.items():
        if len(numbers) > 1:
            verdict.lost.append(f"{name} was given {len(numbers)} numbers at version {each}")
    newest = max(guarded.acknowledged, default=1)
    if version < newest:
        verdict.lost.append(f"{name} is at version {version}, and {newest} was acknowledged")
        return
    told, untold = guarded.acknowledged.get(version), guarded.unknown.get(version, [])
    if told is not None and number not in told:
        verdict.lost.append(f"{name} is {number:g} at version {version}, and {told[0]:g} was acknowledged")
    if told is None and version > 1 and number not in untold:
        verdict.wrong.append(f"{name} is {number:g} at version {version}, which nobody asked for")


def _single(name: str, documents: list[Stored], verdict: Verdict) -> Iterator[Stored]:
    """Yield the one document of a name; without one, or with several, say so."""
    if len(documents) > 1:
        verdict.duplicated.append(f"{name} is stored {len(documents)} times")
    elif not documents:
        verdict.lost.append(f"{name} is not stored any more")
    else:
        yield documents[0]


def _repeated(counts: Counter[int]) -> list[int]:
    return [value for value, count in counts.items() if count > 1]
