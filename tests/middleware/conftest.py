"""Loggers as structlog makes them by default, whatever a test before has configured and cached."""

from collections.abc import Iterator

import pytest
import structlog

from service.http import problems
from service.http.pipeline import request_id, runner
from service.storage import rate_limits


@pytest.fixture(autouse=True)
def _default_loggers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    configured = structlog.get_config()
    structlog.reset_defaults()
    monkeypatch.setattr(request_id, "access_log", structlog.get_logger("sheaf.access"))
    monkeypatch.setattr(runner, "log", structlog.get_logger("sheaf.middleware"))
    monkeypatch.setattr(problems, "error_log", structlog.get_logger("sheaf.errors"))
    monkeypatch.setattr(rate_limits, "log", structlog.get_logger("sheaf.rates"))
    yield
    structlog.configure(**configured)
