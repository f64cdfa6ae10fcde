"""The workloads: what is asked, how often, in which order."""

from collections.abc import Callable
from random import Random

from scripts.measuring import products
from scripts.measuring.requests import Dialect, Request

SEED = 20_260_101
MANY, FEW = 4000, 1000
PRICE_RANGE = 500
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
        return self._dialect.filter(self._random.randrange(products.CATEGORIES), low, low + PRICE_RANGE)

    def create(self) -> Request:
        """Create a product."""
        return self._dialect.create(self._random.randrange(self._documents))

    def mixed(self) -> list[Request]:
        """Make requests of all kinds, in a random order."""
        kinds: list[Callable[[], Request]] = [self.get] * MIXED["get"] + [self.page] * MIXED["list"]
        kinds += [self.create] * MIXED["create"]
        made = [kind() for _ in range(MANY // len(kinds)) for kind in kinds]
        self._random.shuffle(made)
        return made


def make(workload: str, dialect: Dialect, documents: int, tag_of: Callable[[Request], str]) -> list[Request]:
    """Make the requests of a workload; `tag_of` asks a service for the entity tag of what a request reads."""
    maker = Maker(dialect, documents)
    if workload == "mixed":
        return maker.mixed()
    if workload == "304":
        asked = [maker.get() for _ in range(FEW // 4)]
        return [
            each.changed(headers={"If-None-Match": tag_of(each)}, status=304, starts="", at_least=0)
            for each in asked
        ]
    kinds = {"get": maker.get, "list": maker.page, "filter": maker.filter, "create": maker.create}
    return [kinds[workload]() for _ in range(MANY if workload == "get" else FEW)]


WORKLOADS = ("get", "list", "filter", "create", "mixed", "304")
WRITING = {"create", "mixed"}
"""After these there are more documents than before."""
