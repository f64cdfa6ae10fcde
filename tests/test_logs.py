"""What is written to standard error, by us and by libraries, in both forms."""

import json
import logging
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NoReturn

import pytest
import structlog
from pydantic import SecretStr

from service.runtime import logs

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET_LOGGERS}
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, one in levels.items():
        logging.getLogger(name).setLevel(one)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    written = capsys.readouterr()
    assert written.out == ""
    found = [json.loads(line) for line in written.err.splitlines()]
    assert all(TIMESTAMP.fullmatch(line.pop("timestamp")) for line in found)
    return found


def fail(text: str) -> NoReturn:
    raise ValueError(text)


def test_logs_of_service_and_libraries_have_one_shape(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {"request_id": "abc", "trace_id": "def"}
    logs.configure("info", "json")
    structlog.contextvars.bind_contextvars(trace_id="def")
    monkeypatch.setattr(logs, "request_id", ContextVar("request_id", default="abc"))
    structlog.get_logger("sheaf.test").info("done", count=1)
    logging.getLogger("somebody").info("did %s", "it")
    assert lines(capsys) == [
        {"event": "done", "count": 1, **ids, "level": "info", "logger": "sheaf.test"},
        {"event": "did it", **ids, "level": "info", "logger": "somebody"},
    ]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_logs_below_level_are_left_out(
    capsys: pytest.CaptureFixture[str], level: str, written: list[str]
) -> None:
    logs.configure(level, "json")
    for method in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), method)("x")
        getattr(logging.getLogger("somebody"), method)("x")
    assert [line["level"] for line in lines(capsys)] == [one for one in written for _ in range(2)]


def test_quiet_libraries_log_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    for name in logs.QUIET_LOGGERS:
        logging.getLogger(name).info("chatter")
        logging.getLogger(f"{name}.part").debug("chatter")
        logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in lines(capsys)] == ["trouble"] * len(logs.QUIET_LOGGERS)


@pytest.mark.parametrize("logger", [structlog.get_logger(), logging.getLogger("somebody")])
def test_traceback_is_one_text_field(capsys: pytest.CaptureFixture[str], logger: Any) -> None:
    logs.configure("info", "json")
    try:
        fail("no")
    except ValueError:
        logger.exception("failed")
    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("failed", "error")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: no")


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked_in_logs(capsys: pytest.CaptureFixture[str], form: logs.Form) -> None:
    logs.configure("info", form)
    hidden = "hunter2"
    structlog.get_logger().info("a", password=hidden, token=hidden, secret_object=SecretStr(hidden))
    logging.getLogger("somebody").warning("connecting to mongodb://ann:%s@db:27017/x", hidden)
    logging.getLogger("somebody").warning("connecting to mongodb://ann:an/%s@more@db/x", hidden)
    try:
        fail(f"mongodb+srv://ann:{hidden}@db/x")
    except ValueError:
        structlog.get_logger().exception("b")
    written = capsys.readouterr().err
    assert hidden not in written
    assert "mongodb://********@db:27017/x" in written


def test_console_format_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")
    structlog.get_logger("sheaf.test").warning("slow", seconds=2)
    written = capsys.readouterr().err
    assert "[warning" in written
    assert "slow" in written
    assert "seconds=2" in written


def test_value_unknown_to_json_is_logged_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger().info("x", kind={1: {2, 3}}, error=ValueError("no"))
    assert [(line["kind"], line["error"]) for line in lines(capsys)] == [
        ({"1": "{2, 3}"}, "ValueError('no')")
    ]
