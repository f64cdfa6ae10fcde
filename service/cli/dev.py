"""The command `sheaf dev`: check everything, start MongoDB, import, serve."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from service.cli.serve import add_origins, configure_logs, cors_option, listen, scraping
from service.dev import environment, preparation
from service.dev.preparation import banner
from service.runtime import server, settings
from service.runtime.settings import Development
from service.transfer import imports
from service.transfer.sources import open_sources

ENDING_SIGNALS = ("SIGTERM", "SIGHUP")


@click.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), envvar="SHEAF_FILES", metavar="[FILE]...")
@click.option("--host", help="Address to listen on (SHEAF_HOST).")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one (SHEAF_PORT).")
@click.option("--workers", type=int, help="Worker processes; 0 means one per core (SHEAF_WORKERS).")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Directory that MongoDB and the secret live in (SHEAF_DATA).",
)
@cors_option
@click.option("--no-seed", is_flag=True, envvar="SHEAF_NO_SEED", help="Make no products (SHEAF_NO_SEED).")
@click.option(
    "--reset",
    is_flag=True,
    envvar="SHEAF_RESET",
    help="First delete the collections of the files, or the products without one (SHEAF_RESET).",
)
def command(
    files: tuple[Path, ...],
    *,
    host: str | None,
    port: int | None,
    workers: int | None,
    data: Path | None,
    origins: tuple[str, ...],
    no_seed: bool,
    reset: bool,
) -> None:
    """Serve the API with a MongoDB of its own, for development.

    Each FILE (JSON, NDJSON, CSV) becomes a collection with a schema that fits it, open to everybody; an
    object of arrays becomes several. Running again imports nothing twice. Without FILE there are a few
    products.
    Prints `Listening on http://HOST:PORT` when it is ready.
    """
    environment.export(host=host, port=port, workers=workers, data=data)
    with _ended_by_signals():
        add_origins(origins, Development)
        chosen = settings.load(Development)
        environment.export(
            environment=chosen.environment, rate_limit=chosen.rate_limit, metrics_port=chosen.metrics_port
        )
        sources = imports.describe(open_sources(files))
        server.find(chosen.host, chosen.port)
        scraping(chosen)
        configure_logs(chosen)
        with environment.available(chosen) as ready:
            if ready.jwt_secret is None:
                environment.provide_secret(ready.data)
            prepared = preparation.prepare(ready, sources, reset=reset, seed=not no_seed)
            has_own_mongodb = chosen.mongodb_uri is None
            listen(
                ready,
                lambda url: click.echo(banner(url, ready, prepared, has_own_mongodb=has_own_mongodb)),
            )


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have a signal that ends the process end it in order, as Ctrl-C does, until the server takes over."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
