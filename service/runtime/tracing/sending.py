"""Whether traces are sent, by OpenTelemetry's own environment variables, and for how long."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from service.kit.errors import StartupFailure
from service.runtime.tracing import spans

if TYPE_CHECKING:
    from service.runtime.tracing.telemetry import Telemetry

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
NEEDED = "opentelemetry.exporter.otlp.proto.http"

FLUSH_S = 1.0
"""How long a shutdown waits for the last spans to be sent: a worker has this second after every drain."""


class Traces:
    """What sends traces while it is open, if that is set up; `tracer` is None else."""

    def __init__(self, *, is_on: bool) -> None:
        self.is_on = is_on
        self.tracer: Telemetry | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Traces":
        """Read the environment: traces are sent where it names a collector.

        Raises StartupFailure when the extra `telemetry` is not installed, or for a protocol that it lacks.
        """
        named = [name for name in ENDPOINTS if environment.get(name, "").strip()]
        is_off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
        if not named or is_off or exporter == "none":
            return cls(is_on=False)
        if exporter != "otlp":
            raise StartupFailure(f"OTEL_TRACES_EXPORTER is {exporter}; traces can be sent by `otlp` only.")
        protocols = [environment[name].strip() for name in PROTOCOLS if environment.get(name, "").strip()]
        if protocols and protocols[0] != PROTOCOL:
            raise StartupFailure(f"Traces can be sent by the protocol {PROTOCOL} only, not {protocols[0]}.")
        if not _is_installed():
            raise StartupFailure(
                f"{named[0]} is set, but OpenTelemetry is not installed: install `sheaf-api[telemetry]`,"
                " or set OTEL_SDK_DISABLED=true."
            )
        return cls(is_on=True)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Send until the context ends, and then what still waits, for a moment."""
        if not self.is_on:
            yield
            return
        from service.runtime.tracing.telemetry import Telemetry  # noqa: PLC0415  # nobody else pays for it

        tracer = self.tracer = Telemetry()
        try:
            with spans.used(tracer):
                yield
        finally:
            self.tracer = None
            await asyncio.get_running_loop().run_in_executor(None, tracer.close, FLUSH_S)


def _is_installed() -> bool:
    try:
        return find_spec(NEEDED) is not None
    except ModuleNotFoundError:  # its parents are not there either
        return False
