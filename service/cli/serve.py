"""`sheaf serve`: the service in production, or in development without data of its own."""

from collections.abc import Callable, Sequence

import click

from service.dev import environment
from service.runtime import logs, server, settings
from service.runtime.settings import Settings

APPLICATION = "service.app:create"
PATIENCE_S = 2.0
"""What starting takes beside the search for MongoDB."""


cors_option = click.option(
    "--cors",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages on an origin call too (SHEAF_CORS_ORIGINS); may be repeated.",
)


@click.command
@click.option("--host", help="Address to listen on (SHEAF_HOST).")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one (SHEAF_PORT).")
@click.option("--workers", type=int, help="Worker processes; 0 means one per core (SHEAF_WORKERS).")
@cors_option
def command(host: str | None, port: int | None, workers: int | None, origins: tuple[str, ...]) -> None:
    """Serve the API until SIGTERM or Ctrl-C, then let requests in flight finish.

    Prints `Listening on http://HOST:PORT` when it is ready.
    """
    environment.export(host=host, port=port, workers=workers)
    add_origins(origins)
    chosen = settings.load()
    server.find(chosen.host, chosen.port)
    scraping(chosen)
    configure_logs(chosen)
    with environment.available(chosen) as ready:
        listen(ready)


def add_origins(origins: Sequence[str], kind: type[Settings] = Settings) -> None:
    """Put origins into the environment, beside those that are set."""
    if origins:
        environment.export(cors_origins=",".join((*settings.load(kind).cors_origins, *origins)))


def configure_logs(chosen: Settings) -> None:
    """Start the logs of this process as the settings say."""
    logs.configure(chosen.log_level, chosen.effective_log_format)


def scraping(chosen: Settings) -> server.Scraping | None:
    """Return where Prometheus reads metrics, if it does; raises StartupFailure without that address."""
    if chosen.metrics_port is None:
        return None
    address = server.find(chosen.metrics_host, chosen.metrics_port, setting="SHEAF_METRICS_")
    token = None if chosen.metrics_token is None else chosen.metrics_token.get_secret_value()
    return server.Scraping(address, token)


def listen(chosen: Settings, then: Callable[[str], None] = lambda _: None) -> None:
    """Run the workers, say once where they listen, then call `then` with the URL; come back when drained."""
    address = server.find(chosen.host, chosen.port)
    measured = scraping(chosen)
    if chosen.link_url is not None:  # of links in mails, for the workers, which do not know a port of 0
        environment.export(public_url=chosen.public_url or address.url)

    def announce(url: str) -> None:
        click.echo(f"Listening on {url}")
        if measured is not None:
            click.echo(f"Metrics are at {measured.url}")
        then(url)

    server.run(
        APPLICATION,
        host=chosen.host,
        port=address.port,
        workers=chosen.worker_count,
        drain_delay_s=chosen.drain_delay_s,
        drain_timeout_s=chosen.drain_timeout_s,
        patience_s=chosen.database_timeout_s + PATIENCE_S,
        on_ready=announce,
        scraping=measured,
        connections=server.Connections(chosen.connections, chosen.idle_timeout_s, chosen.stall_timeout_s),
    )
