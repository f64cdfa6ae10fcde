"""The failures of saved queries, one class per public code."""

from service.kit.errors.base import Failure
from service.kit.errors.http import Conflict, NotFound


class QueryNotFound(NotFound):
    """The collection has no saved query of this name."""

    code = "query.not_found"
    title = "There is no such query"


class QueryUnfit(Conflict):
    """A saved query meets documents, or another collection, that it cannot compute with."""

    code = "query.unfit"
    title = "The query does not fit the present data"


class QueryTooExpensive(Failure):
    """A saved query takes more time, memory or room than one request may have."""

    status = 422
    code = "query.too_expensive"
    title = "The query takes too much"
