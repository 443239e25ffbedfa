"""Any chunking of any bytes gives the same packets, or the one error after them."""

from __future__ import annotations

import itertools
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from vyked_host.errors import RemoteProtocolError
from vyked_host.model.message import Fault
from vyked_host.model.settings import LimitsTable
from vyked_host.wire import packets
from vyked_host.wire.metadata import CallMeta

from ..unit.wire.ends import HELLO, HOST, SURFACE, client, header, opened, server

LIMITS = LimitsTable(message=4096)
bodies = st.binary(max_size=300)
ids = st.integers(1, 0xFFFFFFFF)


def told(found):
    """Packets as plain values: errors by their text."""
    return [(*packet[:7], str(packet[7])) if packet[0] == packets.BROKEN else packet for packet in found]


def in_chunks(end, data: bytes, cuts: list[int]):
    """What `end` finds in `data`, cut at `cuts`."""
    found = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        found += end.receive(data[start:stop])
    return told(found)


metas = st.none() | st.builds(
    CallMeta, st.none() | st.text(max_size=9), st.none() | st.text(max_size=9), st.text(max_size=9),
    st.sampled_from([None, b'{"traceparent":"00-1"}']),
)  # fmt: skip
from_client = st.lists(
    st.one_of(
        st.tuples(
            st.just("request"), ids, st.integers(0, 65535), st.integers(0, 1), st.integers(1, 255), ids, bodies, metas
        ),
        st.tuples(st.just("item"), ids, bodies),
        st.tuples(st.just("cancel"), ids),
        st.tuples(st.just("end"), ids),
        st.tuples(st.just("credit"), ids, ids),
        st.tuples(st.just("ping"), ids),
        st.tuples(st.just("goaway"), ids, st.just("draining"), st.text(max_size=20)),
    ),
    max_size=12,
)
faults = st.builds(
    Fault, code=st.sampled_from(["INTERNAL", "APPLICATION"]), message=st.text(max_size=20),
    executed=st.sampled_from(["executed", "not_executed", "unknown"]), details=st.none() | st.integers(-5, 5),
)  # fmt: skip
from_server = st.lists(
    st.one_of(
        st.tuples(st.just("response"), ids, bodies),
        st.tuples(st.just("fault"), ids, faults),
        st.tuples(st.just("item"), ids, bodies),
        st.tuples(st.just("surface"), st.just(SURFACE)),
        st.tuples(st.just("pong"), ids),
    ),
    max_size=12,
)
cuts = st.lists(st.integers(0, 1 << 16), max_size=40)


def spoken(end, words) -> bytes:
    return b"".join(getattr(end, word[0])(*word[1:]) for word in words)


@given(from_client, cuts)
def test_what_a_client_says_survives_any_chunking(words, cuts):
    one, other = opened(LIMITS)
    data = spoken(one, words)
    whole = told(opened(LIMITS)[1].receive(data))
    assert [packets.PacketKind(packet[0]).name.lower() for packet in whole] == [word[0] for word in words]
    assert in_chunks(other, data, cuts) == whole
    assert not other.incomplete


@given(from_server, cuts)
def test_what_a_server_says_survives_any_chunking(words, cuts):
    one, other = opened(LIMITS)
    data = spoken(other, words)
    whole = told(opened(LIMITS)[0].receive(data))
    assert len(whole) == len(words)
    assert in_chunks(one, data, cuts) == whole


@given(st.binary(max_size=400), cuts)
@example(b"GET / HTTP/1.1\r\n\r\n" + bytes(30), [4, 17, 19, 20])
@example(header(packets.HELLO, 0xFFFFFFFF) + b"x" * 50, [10, 20, 30])
def test_garbage_gives_the_same_error_in_any_chunks(data, cuts):
    for make in (server, client, lambda: opened(LIMITS)[0], lambda: opened(LIMITS)[1]):
        assert in_chunks(make(), data, cuts) == told(make().receive(data))


@settings(max_examples=300)
@given(from_client, st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6), cuts)
def test_mutated_bytes_never_crash_and_end_with_at_most_one_error(words, mutations, cuts):
    one, other = opened(LIMITS)
    data = bytearray(spoken(one, words) or one.ping(1))
    for where, what in mutations:
        data[where % len(data)] = what
    whole = told(opened(LIMITS)[1].receive(bytes(data)))
    assert in_chunks(other, bytes(data), cuts) == whole
    assert packets.BROKEN not in [packet[0] for packet in whole[:-1]]


@given(st.integers(0, 2**32), cuts)
def test_mutated_hellos_are_refused_or_understood(seed, cuts):
    chance = random.Random(seed)
    data = bytearray(client().hello(HELLO))
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(20, len(data))] = chance.randrange(256)
    found = server().receive(bytes(data))
    assert [packet[0] for packet in found] in ([packets.HELLO], [packets.BROKEN])
    assert in_chunks(server(), bytes(data), cuts) == told(found)
    if found[0][0] == packets.HELLO:
        HOST.judge(found[0][7])
    else:
        assert isinstance(found[0][7], RemoteProtocolError)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 5000), bodies), max_size=8), cuts)
def test_memory_is_never_more_than_what_came(frames, cuts):
    data = b"".join(header(kind, length) + body for kind, length, body in frames)
    end = opened(LIMITS)[1]
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    came = 0
    for start, stop in itertools.pairwise(edges):
        end.receive(data[start:stop])
        came += stop - start
        assert len(end._left) <= min(came, LIMITS.message + packets.HEADER_BYTES)
