"""Bytes that were right and are not any more: whatever is done to a conversation, an end reads it or breaks it off, and keeps little."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wire.ends import HELLO, HOST, SURFACE, client, opened, server
from vyked_host.model.message import Fault
from vyked_host.wire import packets
from vyked_host.wire.connection import Connection
from vyked_host.wire.hello import Reject
from vyked_host.wire.metadata import CallMeta
from vyked_host.wire.packets import HEADER_BYTES, Role

from .targets import check_first_words, check_open

LARGE = bytes(90 << 10)


def _pieces(end: Connection, kind: int) -> list[bytes]:
    payload = end.large((9, 0, 0, kind, 0, 0, 0), LARGE)
    found = []
    while payload.left:
        found.append(b"".join(payload.next()))
    return found


def _corpus() -> dict[Role, list[bytes]]:
    """What each end may say once it is open, and the first words of both: seeds."""
    one, other = opened()
    meta = CallMeta("e", "k", "", b'{"traceparent":"x"}')
    both = lambda end: [end.item(3, b"i"), end.credit(3, 5), end.ping(1), end.pong(1), end.goaway(4, "draining", "bye")]  # noqa: E731
    fault = Fault(code="INTERNAL", message="m", executed="executed", details={"a": [1, {}]})
    return {
        Role.CLIENT: [*both(one), one.request(3, 0, 1, 1, 900, b"body"), one.request(4, 2, 0, 1, 900, b"", meta),
                      one.cancel(3), one.end(3), *_pieces(one, packets.REQUEST), client().hello(HELLO)],
        Role.SERVER: [*both(other), other.response(3, b"body"), other.fault(3, fault), other.surface(SURFACE),
                      *_pieces(other, packets.RESPONSE), server().reject(Reject(reason="busy", message="full"))],
    }  # fmt: skip


CORPUS = _corpus()


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Role, bytes]:
    """(who speaks, what): packets of the corpus with bytes changed, left out, repeated, and cut off."""
    role = draw(st.sampled_from(Role))
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(CORPUS[role]), min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, min(len(data), 400) - 1)))
        match draw(st.sampled_from(["set", "drop", "repeat", "insert", "cut"])):
            case "set":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "drop":
                del data[at : at + draw(st.integers(1, 30))]
            case "repeat":
                data[at:at] = data[at : at + HEADER_BYTES]
            case "insert":
                data[at:at] = draw(st.binary(max_size=30))
            case "cut":
                del data[at:]
    return role, bytes(data)


@settings(max_examples=600, deadline=None)
@given(conversations(), st.integers(1, 5000))
def test_whatever_is_done_to_a_conversation_an_open_end_reads_it_or_breaks_it_off(said, step):
    check_open(*said, step)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(Role), st.one_of(st.binary(max_size=300), conversations().map(lambda said: said[1])))
def test_an_end_that_nobody_has_spoken_to_takes_no_harm_from_what_it_hears_first(role, data):
    check_first_words(role, data)


def test_the_seeds_are_understood_as_they_stand():
    for speaker, seeds in CORPUS.items():
        kinds = {each[12] for each in seeds} - {packets.HELLO, packets.REJECT}
        hearer = opened()[1 if speaker is Role.CLIENT else 0]
        heard = hearer.receive(b"".join(seed for seed in seeds if seed[12] in kinds))
        assert {each[0] for each in heard} == kinds
    assert HOST.mesh == HELLO.mesh
