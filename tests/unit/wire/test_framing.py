"""An incomplete frame costs what has arrived of it, once."""

from __future__ import annotations

from vyked_host.wire import packets
from vyked_host.wire.framing import Leftover

from .ends import header


def test_a_frame_is_handed_out_once_and_only_when_it_is_complete():
    left = Leftover()
    frame = header(packets.REQUEST, 100) + b"x" * 100
    left.keep(frame[:30])
    for position in range(30, 119):
        assert left.join(frame[position : position + 1]) is None  # no copy is made on the way
    assert left.join(frame[119:] + b"next") == frame + b"next"
    assert len(left) == 0


def test_a_header_in_pieces_waits_for_its_rest():
    left = Leftover()
    left.keep(header(packets.PING)[:5])
    assert left.join(header(packets.PING)[5:19]) is None
    assert left.join(header(packets.PING)[19:]) == header(packets.PING)


def test_what_is_forgotten_is_gone():
    left = Leftover()
    left.keep(b"abc")
    left.clear()
    assert len(left) == 0
