"""Waits until the service is ready, and says so once."""

import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

import structlog

from service.runtime.server.address import Address
from service.runtime.server.worker import READINESS

EAGER_S, PATIENT_S = 0.05, 0.5

log = structlog.get_logger("sheaf.server")


def announce(
    address: Address,
    *,
    is_up: Callable[[], bool],
    is_over: Callable[[], bool],
    patience_s: float,
    on_ready: Callable[[str], None],
) -> None:
    """Call `on_ready` with the URL when every worker runs and readiness is 200, or return when it is over.

    What takes longer than `patience_s` is logged once, and waited for on.
    """
    began = time.monotonic()
    is_patient = False
    while not is_over():
        if is_up() and _status(address) == 200:  # noqa: PLR2004 - HTTP's OK
            on_ready(address.url)
            return
        if not is_patient and time.monotonic() - began > patience_s:
            is_patient = True
            log.warning(
                "not ready", waited_s=patience_s, hint="Is MongoDB reachable? It is tried again and again."
            )
        time.sleep(PATIENT_S if is_patient else EAGER_S)


def _status(address: Address) -> int | None:
    connection = HTTPConnection(address.reachable_ip, address.port, timeout=10)
    try:
        connection.request("GET", READINESS, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
