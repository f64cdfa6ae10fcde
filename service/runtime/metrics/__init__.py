"""What is measured, for Prometheus: cells in shared memory, written by each worker, read at a scrape."""

from service.runtime.metrics.cells import SIZE_BYTES, Cells, Exchanges
from service.runtime.metrics.exposition import Exposition, WorkerState
from service.runtime.metrics.meter import Meter

__all__ = ["SIZE_BYTES", "Cells", "Exchanges", "Exposition", "Meter", "WorkerState"]
