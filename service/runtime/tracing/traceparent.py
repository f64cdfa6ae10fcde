"""The header `traceparent`: which trace a request is part of (W3C Trace Context, level 2)."""

import re
from dataclasses import dataclass

SAMPLED = 0x01
_NONE = b"0" * 32
_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's place in its trace: hexadecimal ids of the trace and the caller's span, and the flags."""

    trace_id: str
    span_id: str
    flags: int = 0

    @property
    def is_sampled(self) -> bool:
        """Whether the caller may have recorded its span."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def read(header: bytes) -> TraceParent | None:
    """Read the header; None for one that is to be ignored. Of later versions the beginning is read.

    >>> str(read(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    >>> read(b"00-00000000000000000000000000000000-b7ad6b7169203331-01") is None
    True
    """
    found = _FORM.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (more is not None and version == b"00") or trace_id == _NONE or span_id == _NONE[:16]:
        return None
    return TraceParent(trace_id.decode(), span_id.decode(), int(flags, 16))
