"""The port that Prometheus reads metrics from: served by the main process, for all workers together."""

import hmac
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.registry import Collector

from service.runtime.server.address import Address

PATH = "/metrics"

TIMEOUT_S = 5.0
"""How long a client is waited for."""

POLL_S = 0.1
"""How late the port may be closed."""

MAXIMUM_CONNECTIONS = 8
"""Connections at the same time; a further one is closed."""

log = structlog.get_logger("sheaf.metrics")


@dataclass(frozen=True, slots=True)
class Scraping:
    """Where metrics are answered, and the token that they take, if any."""

    address: Address
    token: str | None

    @property
    def url(self) -> str:
        """The URL to show."""
        return self.address.url + PATH


Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@contextmanager
def scraped(scraping: Scraping, collector: Collector) -> Iterator[None]:
    """Answer `GET /metrics` until the context ends.

    With a token it has to be sent as `Authorization: Bearer …`; what else is sent is answered 401.
    """
    server = _Server(scraping.address, guarded(scraping.token, collector))
    threading.Thread(target=server.serve_forever, args=(POLL_S,), name="metrics", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def guarded(token: str | None, collector: Collector) -> Application:
    """Return the WSGI application that answers with the metrics of a collector."""
    registry = CollectorRegistry()
    registry.register(collector)
    answer = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return _refuse(start_response, "404 Not Found", f"Metrics are at {PATH}.")
        if token is not None and not _is_bearer(environ.get("HTTP_AUTHORIZATION", ""), token):
            challenge = ("WWW-Authenticate", 'Bearer realm="metrics"')
            return _refuse(
                start_response, "401 Unauthorized", "Send the token of SHEAF_METRICS_TOKEN.", challenge
            )
        result: Iterable[bytes] = answer(environ, start_response)
        return result

    return application


def _is_bearer(value: str, token: str) -> bool:
    scheme, _, sent = value.partition(" ")
    is_right = hmac.compare_digest(sent.strip().encode("latin-1"), token.encode())
    return scheme.lower() == "bearer" and is_right


def _refuse(start_response: Any, status: str, sentence: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [sentence.encode() + b"\n"]


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT_S

    def log_message(self, *_: Any) -> None:
        """Write no access log: a scrape every few seconds says nothing."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 4 * MAXIMUM_CONNECTIONS

    def __init__(self, address: Address, application: Application) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
        self._slots = threading.BoundedSemaphore(MAXIMUM_CONNECTIONS)
        super().__init__((address.ip, address.port), _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Bind, without asking a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "metrics", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if one is left."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and release the slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, *_: Any) -> None:
        """Log what went wrong; mostly the client has gone."""
        log.debug("a scrape failed", reason=repr(sys.exception()))
