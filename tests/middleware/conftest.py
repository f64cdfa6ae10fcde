"""Loggers as structlog makes them by default, whatever a test before has configured and cached."""

from collections.abc import Iterator

import pytest
import structlog

from service.http import problems
from service.http.pipeline import pipeline, request_id
from service.storage import rates


@pytest.fixture(autouse=True)
def _default_loggers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    configured = structlog.get_config()
    structlog.reset_defaults()
    monkeypatch.setattr(request_id, "access_log", structlog.get_logger("sheaf.access"))
    monkeypatch.setattr(pipeline, "log", structlog.get_logger("sheaf.middleware"))
    monkeypatch.setattr(problems, "error_log", structlog.get_logger("sheaf.errors"))
    monkeypatch.setattr(rates, "log", structlog.get_logger("sheaf.rates"))
    yield
    structlog.configure(**configured)
