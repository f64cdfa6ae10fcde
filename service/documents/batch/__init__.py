"""Many operations in one request: read, with references between them, and run together or each by itself."""

from service.documents.batch.operations import MAXIMUM_OPERATIONS, Batch, Operation, parse
from service.documents.batch.running import run_atomically, run_each

__all__ = [
    "MAXIMUM_OPERATIONS",
    "Batch",
    "Operation",
    "parse",
    "run_atomically",
    "run_each",
]
