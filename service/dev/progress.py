"""How far an import has come: bars on a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from service.transfer.sources import Source

DOCUMENTS_PER_UPDATE = 256

Reader = Callable[[Source], Iterable[dict[str, Any]]]


@contextmanager
def shown() -> Iterator[Reader]:
    """Give the function that reads a source and meanwhile shows on standard error how far it has come."""
    if not sys.stderr.isatty():
        yield lambda source: source.documents()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[documents]} documents", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield lambda source: _tracked(progress, source)


def _tracked(progress: Progress, source: Source) -> Iterator[dict[str, Any]]:
    task = progress.add_task(source.name, total=source.size_bytes, documents=0)
    for number, document in enumerate(source.documents()):
        if number % DOCUMENTS_PER_UPDATE == 0:
            progress.update(task, completed=source.bytes_read, documents=number)
        yield document
    progress.update(task, completed=source.size_bytes, documents=source.count)
