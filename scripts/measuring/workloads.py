"""The workloads: what is asked, how often, in which order."""

from collections.abc import Callable
from random import Random

from scripts.measuring import products
from scripts.measuring.requests import Dialect, Request

SEED = 20_260_101
PRICE_RANGE = 500
"""Half of all prices."""
FULL = 4 * products.PAGE * products.CATEGORIES
"""With so many documents, whatever the filter, there is a whole page."""
MIXED = {"get": 80, "list": 15, "create": 5}
"""Of a hundred requests."""


class Maker:
    """Makes requests at random, the same ones for every service."""

    def __init__(self, dialect: Dialect, documents: int) -> None:
        self._dialect = dialect
        self._documents = documents
        self._random = Random(SEED)  # noqa: S311 - not a secret

    def get(self) -> Request:
        """Ask for any product."""
        return self._dialect.get(self._random.randrange(self._documents))

    def page(self) -> Request:
        """Ask for one of the first pages."""
        pages = max(1, min(products.PAGES, self._documents // products.PAGE))
        return self._dialect.page(self._random.randint(1, pages))

    def filter(self) -> Request:
        """Ask for half the prices of a category."""
        low = self._random.randint(0, 400)
        asked = self._dialect.filter(self._random.randrange(products.CATEGORIES), low, low + PRICE_RANGE)
        if self._documents < FULL:
            return asked.changed(starts=asked.starts.removesuffix("{"), at_least=0)
        return asked

    def create(self) -> Request:
        """Create a product."""
        return self._dialect.create(self._random.randrange(self._documents))

    def mixed(self, count: int) -> list[Request]:
        """Make requests of three kinds, in a random order."""
        kinds = {"get": self.get, "list": self.page, "create": self.create}
        made = [kinds[kind]() for kind, share in MIXED.items() for _ in range(count * share // 100)]
        self._random.shuffle(made)
        return made


def make(
    workload: str,
    dialect: Dialect,
    documents: int,
    tag_of: Callable[[Request], str],
    count: int | None = None,
) -> list[Request]:
    """Make the requests of a workload; `tag_of` asks a service for the entity tag of what a request reads."""
    count = count or COUNTS[workload]
    maker = Maker(dialect, documents)
    if workload == "mixed":
        return maker.mixed(count)
    if workload == "304":
        asked = [maker.get() for _ in range(count)]
        return [
            each.changed(headers={"If-None-Match": tag_of(each)}, status=304, starts="", at_least=0)
            for each in asked
        ]
    kinds = {"get": maker.get, "list": maker.page, "filter": maker.filter, "create": maker.create}
    return [kinds[workload]() for _ in range(count)]


COUNTS = {"get": 4000, "list": 1000, "filter": 1000, "create": 1000, "mixed": 4000, "304": 250}
"""Different requests of each workload; they are sent in turn."""
WORKLOADS = tuple(COUNTS)
STATIC = "static"
"""What answers without having looked anything up: the limit of HTTP."""
WRITING = {"create", "mixed"}
"""After these there are more documents than before."""
