"""Large payloads: cut at one end, whole at the other, whatever comes between; and what a receiver does not let a sender do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.model.settings import LimitsTable
from vyked_host.wire import packets
from vyked_host.wire.metadata import CallMeta
from vyked_host.wire.outbox import Outbox
from vyked_host.wire.pieces import MOST_PARTED, PIECE_BYTES, UNCUT_BYTES

from .ends import header, opened

LARGE = bytes(range(256)) * 1200  # 300 KiB


def item(end, call_id, body=LARGE):
    return end.large((call_id, 0, 0, packets.ITEM, 0, 0, 0), body)


def sent(outbox):
    """All that waits: (call id, bytes of the packet), in the order it goes out."""
    found = []
    while outbox.queued:
        call_id, buffers = outbox.next()
        found.append((call_id, b"".join(buffers)))
    return found


def parts(payload):
    outbox = Outbox()
    outbox.add(1, payload)
    return [data for _, data in sent(outbox)]


def broken(found):
    assert found[-1][0] == packets.BROKEN
    return str(found[-1][7])


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, UNCUT_BYTES, UNCUT_BYTES + 1, 2 * PIECE_BYTES, len(LARGE)])
def test_a_payload_of_any_size_arrives_whole(size):
    one, other = opened()
    cut = parts(item(one, 3, LARGE[:size]))
    assert len(cut) == 1 if size <= UNCUT_BYTES else len(cut) > 1
    assert all(len(each) <= packets.HEADER_BYTES + UNCUT_BYTES for each in cut)
    *pieces, last = other.receive(b"".join(cut))
    assert {packet[0] for packet in pieces} <= {packets.PIECE}
    assert (last[0], last[1], last[7]) == (packets.ITEM, 3, LARGE[:size])
    assert len(other._assembly) == 0


def test_a_large_request_keeps_its_meta_block_and_its_header():
    one, other = opened()
    meta = CallMeta("e", "k", "", b'{"traceparent":"x"}')
    *_, packet = other.receive(b"".join(parts(one.large_request(7, 2, 1, 3, 900, LARGE, meta))))
    assert packet == (packets.REQUEST, 7, 2, 1, 3, 900, meta, LARGE)


def test_a_payload_is_not_copied_to_be_cut():
    one, _ = opened()
    payload = item(one, 1)
    _, view = payload.next()
    assert isinstance(view, memoryview)
    assert view.obj is LARGE


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 200_000)), min_size=1, max_size=12))
def test_payloads_of_several_calls_come_whole_and_in_the_order_of_their_call(bodies):
    one, other = opened()
    outbox = Outbox()
    for number, (call_id, size) in enumerate(bodies):
        outbox.add(call_id, item(one, call_id, bytes([number]) * size))
    found = other.receive(b"".join(data for _, data in sent(outbox)))
    whole = [(packet[1], packet[7]) for packet in found if packet[0] == packets.ITEM]
    for call_id in {call_id for call_id, _ in bodies}:
        wanted = [bytes([n]) * size for n, (each, size) in enumerate(bodies) if each == call_id]
        assert [body for each, body in whole if each == call_id] == wanted
    assert outbox.waiting == 0


def test_calls_have_their_turns_one_piece_each():
    one, _ = opened()
    outbox = Outbox()
    for call_id in (1, 2, 3):
        outbox.add(call_id, item(one, call_id))
    assert [call_id for call_id, _ in sent(outbox)][:7] == [1, 2, 3, 1, 2, 3, 1]


def test_what_follows_a_payload_of_its_call_waits_for_it():
    one, other = opened()
    outbox = Outbox()
    outbox.add(1, item(one, 1))
    outbox.add(1, one.end(1))
    assert outbox.of(1) == outbox.waiting == len(LARGE) + packets.HEADER_BYTES
    found = other.receive(b"".join(data for _, data in sent(outbox)))
    assert [packet[0] for packet in found][-2:] == [packets.ITEM, packets.END]


def test_no_more_payloads_are_under_way_at_once_than_a_receiver_takes():
    one, other = opened()
    outbox = Outbox()
    for call_id in range(1, 2 * MOST_PARTED + 1):
        outbox.add(call_id, item(one, call_id))
    found = other.receive(b"".join(data for _, data in sent(outbox)))
    assert sum(packet[0] == packets.ITEM for packet in found) == 2 * MOST_PARTED
    for call_id in range(1, MOST_PARTED + 1):
        other.receive(b"".join(item(one, call_id).next()))
    assert f"more than {MOST_PARTED} payloads" in broken(other.receive(b"".join(item(one, 99).next())))


def test_what_is_dropped_is_not_sent_and_makes_room_for_others():
    one, _ = opened()
    outbox = Outbox()
    for call_id in range(1, MOST_PARTED + 2):
        outbox.add(call_id, item(one, call_id))
    assert outbox.drop(1)
    assert not outbox.drop(1)
    assert {call_id for call_id, _ in sent(outbox)} == set(range(2, MOST_PARTED + 2))
    assert outbox.waiting == 0


@pytest.mark.parametrize("kind", [packets.CANCEL, packets.END])
def test_a_client_that_gives_up_frees_what_came_of_it(kind):
    one, other = opened()
    other.receive(b"".join(item(one, 1).next()))
    assert len(other._assembly) == 1
    other.receive(header(kind, call_id=1))
    assert len(other._assembly) == 0


def piece(call_id, length, following):
    return packets.HEADER.pack(length, call_id, 0, 0, packets.PIECE, 0, 0, 0, following)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (piece(1, 10, 1 << 20), "at most 1048576 are taken"),
        (piece(1, 1 << 21, 0), "at most 1048576 are taken"),
        (piece(1, 2, 5) + b"xx" + piece(1, 3, 3), "6 bytes follow, said were 5"),
        (piece(1, 2, 5) + b"xx" + header(packets.ITEM, 4, call_id=1, flags=2), "4 last bytes of a payload, said were 5"),
        (header(packets.ITEM, 4, call_id=1, flags=2), "whose first ones never came"),
    ],
)  # fmt: skip
def test_pieces_that_do_not_fit_are_found_at_the_header(data, text):
    assert text in broken(opened()[1].receive(data))


def test_what_is_kept_of_a_payload_is_what_came_of_it():
    _, other = opened(LimitsTable(message="none"))
    other.receive(piece(1, 3, 0xFFFF_0000) + b"abc")
    [(kept, _)] = other._assembly._parts.values()
    assert kept == b"abc"
