"""What is wrong with some of many documents, told of all of them at once."""

from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from service.collections.registry import Collection
from service.documents import failures
from service.kit.errors import MAXIMUM_VIOLATIONS, DocumentInvalid, Failure
from service.storage.codes import DUPLICATE_KEY

MAXIMUM_DOCUMENTS = 1000
"""Documents that one request creates, changes or deletes at the most."""


class Refusals:
    """The failures of single documents, each with its place told in its violations."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []
        self._count = 0

    def add(self, failure: Failure) -> None:
        """Note why one document is refused; raises all that is known when no more could be told."""
        self._failures.append(failure)
        self._count += len(failure.errors)
        if self._count >= MAXIMUM_VIOLATIONS:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise one failure for all: of their own class when they have one, else DocumentInvalid."""
        if not self._failures:
            return
        if len(self._failures) == 1:
            raise self._failures[0]
        kinds = {type(failure) for failure in self._failures}
        kind = kinds.pop() if len(kinds) == 1 else DocumentInvalid
        detail = f"{len(self._failures)} documents have {self._count} faults"
        raise kind(detail, errors=[each for failure in self._failures for each in failure.errors])


def cause(error: BulkWriteError) -> tuple[int, OperationFailure]:
    """Give the index of the write that MongoDB refused, and its error as that of a single write."""
    refused = (error.details or {})["writeErrors"][0]
    kind = DuplicateKeyError if refused["code"] == DUPLICATE_KEY else OperationFailure
    return refused["index"], kind(refused["errmsg"], refused["code"], refused)


def of_write(collection: Collection, error: Exception) -> Failure:
    """Give our failure for a write that MongoDB refused; raises the error when it is another matter."""
    try:
        failures.translate(collection, error)
    except Failure as failure:
        return failure
