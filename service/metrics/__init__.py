"""What is measured, for Prometheus: cells in shared memory, written by each worker, read at a scrape."""

from service.metrics.cells import SIZE_BYTES, Cells
from service.metrics.exchanges import Exchanges
from service.metrics.exposition import Exposition, Worker
from service.metrics.meter import Meter

__all__ = ["SIZE_BYTES", "Cells", "Exchanges", "Exposition", "Meter", "Worker"]
