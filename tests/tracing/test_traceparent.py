"""Which headers `traceparent` are honoured, by W3C Trace Context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.tracing.spans import read_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # level 2: the trace's id is random, too
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_valid_traceparent_gives_ids_and_flag(header: str, is_sampled: bool) -> None:
    found = read_traceparent(header.encode())
    assert found is not None
    assert (found.trace_id, found.span_id, found.is_sampled) == (TRACE, SPAN, is_sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"0x-{TRACE}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
    ],
)
def test_invalid_traceparent_is_ignored(header: str) -> None:
    assert read_traceparent(header.encode()) is None


@given(st.binary(max_size=80))
def test_no_traceparent_raises(header: bytes) -> None:
    found = read_traceparent(header)
    assert found is None or len(found.trace_id) == 32


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_written_traceparent_is_read_back(trace: int, span: int, flags: int) -> None:
    written = f"00-{trace:032x}-{span:016x}-{flags:02x}"
    assert str(read_traceparent(written.encode())) == written
