"""traceparent and tracestate, read as the W3C recommendation says."""

import pytest

from service.observability import trace_context
from service.observability.trace_context import Trace, read, read_state

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (f"00-{ID}-{SPAN}-00", 0),
        (f"00-{ID}-{SPAN}-01", 1),
        (f"00-{ID}-{SPAN}-ff", 3),  # unknown flags are not passed on
        (f"01-{ID}-{SPAN}-01", 1),
        (f"cc-{ID}-{SPAN}-01-what-the-future-adds", 1),
    ],
)
def test_valid_parent_gives_its_trace_and_flags(traceparent, flags):
    assert read(traceparent, None) == Trace(ID, flags)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        f"ff-{ID}-{SPAN}-01",
        f"00-{ID.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID}-{SPAN}-01-more",
        f"01-{ID}-{SPAN}-01more",
        f"00-{ID}-{SPAN}-1",
        f"00-{ID}-{SPAN}-01,00-{ID}-{SPAN}-01",
    ],
)
def test_invalid_parent_starts_a_new_trace_without_its_state(traceparent):
    trace_context.begin(traceparent, "a=1")
    trace = trace_context.current_trace()
    assert trace.trace_id != ID
    assert read(trace.headers()["traceparent"], None) == trace == Trace(trace.trace_id)


def test_calls_of_a_trace_have_span_ids_of_their_own():
    trace = Trace(ID, 1, "a=1")
    first, second = trace.headers(), trace.headers()
    assert first["traceparent"].startswith(f"00-{ID}-")
    assert len({SPAN, first["traceparent"][36:52], second["traceparent"][36:52]}) == 3
    assert first["tracestate"] == "a=1"


LONG = "long=" + "x" * 200


@pytest.mark.parametrize(
    ("tracestate", "passed_on"),
    [
        ("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("fw529a3039@dt=FfAA,,", "fw529a3039@dt=FfAA"),
        ("a=1,a=2", ""),
        ("Upper=1", ""),
        ("a=b=c", ""),
        ("a=1\r\nX-Evil: 1", ""),
        ("a=\u00e9", ""),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        (",".join([LONG, *(f"k{n}={'v' * 20}" for n in range(20))]), None),
        (",".join(f"k{n:02}={'v' * 20}" for n in range(30)), None),
    ],
)
def test_state_is_bounded_and_valid(tracestate, passed_on):
    state = read_state(tracestate)
    if passed_on is not None:
        assert state == passed_on
    assert len(state) <= 512
    assert passed_on is not None or ("long" not in state and state.startswith("k0"))
