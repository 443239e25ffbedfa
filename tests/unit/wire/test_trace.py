"""What goes on of a call's metadata, and what is a traceparent."""

import pytest

from vyked_host.wire.trace import LONGEST, inherited, is_traceparent, joined

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "text", [PARENT, f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes"]
)
def test_it_is_one(text: str) -> None:
    assert is_traceparent(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "00", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01", f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}-01\n", f" {PARENT}",
        f"cc-{TRACE}-{SPAN}-01more", f"00-{TRACE}-{SPAN[:-1]}é-01", f"0-{TRACE}-{SPAN}-01",
    ],
)  # fmt: skip
def test_it_is_none(text: str) -> None:
    assert not is_traceparent(text)


def test_the_trace_and_baggage_go_on_and_nothing_else() -> None:
    said = {
        "traceparent": PARENT,
        "tracestate": "a=1",
        "baggage": "k=v",
        "authorization": "Bearer x",
        "Traceparent": "no",
    }
    assert inherited(said) == {"traceparent": PARENT, "tracestate": "a=1", "baggage": "k=v"}


def test_without_a_trace_its_state_does_not_go_on_either_but_baggage_does() -> None:
    assert inherited({"traceparent": "00-1-2-01", "tracestate": "a=1", "baggage": "k=v"}) == {"baggage": "k=v"}
    assert inherited({"tracestate": "a=1"}) == {}


@pytest.mark.parametrize("name", ["tracestate", "baggage"])
def test_what_is_too_long_stays_here(name: str) -> None:
    fits = {"traceparent": PARENT, name: "x" * LONGEST}
    assert inherited(fits) == fits
    assert inherited({**fits, name: "x" * (LONGEST + 1)}) == {"traceparent": PARENT}


def test_own_metadata_comes_beside_what_is_inherited() -> None:
    outer = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "k=v"}
    assert joined(outer, {"tenant": "x"}) == {**outer, "tenant": "x"}
    assert joined(outer, {"baggage": "other=1"}) == {**outer, "baggage": "other=1"}


def test_a_trace_of_ones_own_leaves_nothing_of_the_outer_one() -> None:
    outer, span = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "k=v"}, f"00-{TRACE}-{'1' * 16}-01"
    assert joined(outer, {"traceparent": span}) == {"traceparent": span, "baggage": "k=v"}
