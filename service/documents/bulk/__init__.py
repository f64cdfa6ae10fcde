"""Many documents of one collection at once: created, changed or deleted, all of them or none."""

from service.documents.bulk.changing import Changed, delete, update
from service.documents.bulk.creating import create
from service.documents.bulk.refusals import MAXIMUM_DOCUMENTS

__all__ = ["MAXIMUM_DOCUMENTS", "Changed", "create", "delete", "update"]
