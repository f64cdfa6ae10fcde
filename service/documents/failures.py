"""What MongoDB says of a refused write, in our words."""

from typing import NoReturn

from pymongo.errors import DocumentTooLarge, DuplicateKeyError, OperationFailure

from service.collections.registry import Collection
from service.kit.errors import BodyTooLarge, DocumentInvalid, Duplicate, Violation
from service.kit.pointers import join
from service.storage.codes import DOCUMENT_TOO_LARGE, UNINDEXABLE


def translate(collection: Collection, error: Exception) -> NoReturn:
    """Raise our failure for a write that MongoDB refused, or the error itself when it is another matter."""
    if isinstance(error, DuplicateKeyError):
        raise _duplicate(error) from None
    code = error.code if isinstance(error, OperationFailure) else None
    if isinstance(error, DocumentTooLarge) or code in DOCUMENT_TOO_LARGE:
        raise BodyTooLarge("The document would be larger than MongoDB's 16 MB") from None
    if code in UNINDEXABLE:
        raise DocumentInvalid(f"A value does not fit an index of `{collection.name}`") from None
    if isinstance(error, OverflowError):
        raise DocumentInvalid("A number is too large to be stored") from None
    raise error


def _duplicate(error: DuplicateKeyError) -> Duplicate:
    paths = ["id" if path == "_id" else path for path in (error.details or {}).get("keyPattern", {})]
    if not paths:
        return Duplicate()
    names = " and ".join(f"`{path}`" for path in paths)
    detail = f"Another document has the same {names}"
    violations = [Violation("the value is taken", "unique", pointer=join(path.split("."))) for path in paths]
    return Duplicate(detail, errors=violations)
