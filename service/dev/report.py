"""What became of each file, in sentences."""

from collections.abc import Iterator

from service.transfer.imports import Outcome


def sentences(outcome: Outcome) -> Iterator[str]:
    """Say what was imported and what was not, then what is not as in the file.

    The first sentence begins with the collection's name.
    """
    yield f"{outcome.collection.name}: {_result(outcome)}"
    loaded = outcome.loaded
    if loaded.refused:
        first = loaded.first_refusals[0]
        yield (
            f"  {documents(loaded.refused)} refused by the schema of `{outcome.collection.name}`;"
            f" the first is number {first.ordinal + 1} in the file ({first.reason})."
        )
        yield "  Change the schema, give the file another name, or start over with --reset."
    if outcome.circumstance != "unchanged":
        yield from (f"  {note}" for note in outcome.notes)


def documents(count: int) -> str:
    """Write a number of documents.

    >>> documents(1), documents(3201)
    ('1 document', '3201 documents')
    """
    return f"{count} document{'s' * (count != 1)}"


def _result(outcome: Outcome) -> str:
    created, skipped = documents(outcome.loaded.created), outcome.loaded.skipped
    match outcome.circumstance:
        case "unchanged":
            return (
                f"imported before; {outcome.in_file} in the file,"
                f" {outcome.present} there now (--reset starts over)."
            )
        case "cut off":
            return f"{created} imported, {skipped} there already: the import that was cut off is complete."
        case "changed":
            return (
                f"the file has changed: {created} imported, {skipped} there already,"
                f" which stay as they are (--reset starts over)."
            )
        case "new" if skipped:
            return f"{created} imported, {skipped} there already, which stay as they are."
        case "new":
            return f"{created} imported."
