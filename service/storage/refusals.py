"""What MongoDB says of a refused write, as our failures."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError, OperationFailure, WriteError

from service.kit.errors import BodyTooLarge, DocumentInvalid, Duplicate, Failure, Violation
from service.kit.json_values import join_pointer
from service.storage.codes import DOCUMENT_TOO_LARGE, DUPLICATE_KEY, UNINDEXABLE


class NoTextIndex(Exception):  # those who catch it say what is wrong
    """A search is not possible: the collection has no text index, or has it no more, or not yet."""


class RefusedOne(Exception):  # it carries the failure, which is the error
    """MongoDB refused one of several writes: which, by its position, and why. None of them has been made."""

    def __init__(self, position: int, document: Mapping[str, Any], failure: Failure) -> None:
        super().__init__(position, failure)
        self.position = position
        self.document = document
        self.failure = failure


def refusal(collection: str, error: Exception) -> Exception:
    """Return our failure for a write that MongoDB refused, or the error itself when it is another matter."""
    if isinstance(error, DuplicateKeyError):
        return _duplicate(error)
    code = error.code if isinstance(error, OperationFailure) else None
    if isinstance(error, DocumentTooLarge) or code in DOCUMENT_TOO_LARGE:
        return BodyTooLarge("The document would be larger than MongoDB's 16 MB")
    if code in UNINDEXABLE:
        return DocumentInvalid(f"A value does not fit an index of `{collection}`")
    if isinstance(error, OverflowError):
        return DocumentInvalid("A number is too large to be stored")
    return error


def error_of(details: Mapping[str, Any]) -> WriteError:
    """Return what MongoDB says of one of several writes as the error of a single one."""
    kind = DuplicateKeyError if details["code"] == DUPLICATE_KEY else WriteError
    return kind(details["errmsg"], details["code"], details)


def refused_one(collection: str, error: BulkWriteError, documents: Sequence[Mapping[str, Any]]) -> RefusedOne:
    """Return which of several ordered writes MongoDB refused, and why; raises the error of another matter."""
    first = (error.details or {})["writeErrors"][0]
    failure = refusal(collection, error_of(first))
    if not isinstance(failure, Failure):
        raise failure
    return RefusedOne(first["index"], documents[first["index"]], failure)


def is_of_id(error: Exception) -> bool:
    """Return whether a write was refused because there is a document of its id."""
    return isinstance(error, DuplicateKeyError) and list((error.details or {}).get("keyPattern", {})) == [
        "_id"
    ]


def is_duplicate_id(failure: Exception) -> bool:
    """Return whether a failure of ours says that there is a document of the id."""
    return isinstance(failure, Duplicate) and [each.pointer for each in failure.errors] == ["/id"]


def _duplicate(error: DuplicateKeyError) -> Failure:
    paths = ["id" if path == "_id" else path for path in (error.details or {}).get("keyPattern", {})]
    if not paths:
        return Duplicate()
    names = " and ".join(f"`{path}`" for path in paths)
    detail = f"Another document has the same {names}"
    violations = [
        Violation("the value is taken", "unique", pointer=join_pointer(path.split("."))) for path in paths
    ]
    return Duplicate(detail, errors=violations)
