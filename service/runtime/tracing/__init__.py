"""Traces: whose request this is part of, and where its time goes; sent by OpenTelemetry if it is set up."""

from service.runtime.tracing.spans import (
    Attributes,
    Span,
    continued,
    entered,
    failed,
    present,
    span,
    written,
)

__all__ = ["Attributes", "Span", "continued", "entered", "failed", "present", "span", "written"]
