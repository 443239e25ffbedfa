"""When a peer counts as gone."""

from __future__ import annotations

from vyked_host.builtin.tcp.pulse import Pulse
from vyked_host.contracts import TimingTable

TIMING = TimingTable(ping=10, pong=5, body=30)


def test_a_quiet_peer_is_pinged_and_dead_after_ping_and_pong():
    pulse = Pulse(TIMING, 0.0)
    assert (pulse.next(), pulse.look(9.9)) == (10.0, "fine")
    assert pulse.look(10.0) == "ping"
    assert (pulse.next(), pulse.look(14.9)) == (15.0, "fine")
    assert pulse.look(15.0) == "dead"


def test_any_byte_is_a_sign_of_life():
    pulse = Pulse(TIMING, 0.0)
    assert pulse.look(10.0) == "ping"
    pulse.progress(14.0, packets=False, incomplete=True)
    assert pulse.look(15.0) == "fine"
    assert pulse.next() == 24.0


def test_a_peer_that_begins_a_packet_completes_it_in_time():
    pulse = Pulse(TIMING, 0.0)
    for second in range(1, 31):
        pulse.progress(float(second), packets=False, incomplete=True)
        assert pulse.look(float(second)) == "fine"
    assert pulse.next() == 31.0
    assert pulse.look(31.0) == "stalled"


def test_each_completed_packet_starts_that_time_again():
    pulse = Pulse(TIMING, 0.0)
    pulse.progress(1.0, packets=False, incomplete=True)
    pulse.progress(29.0, packets=True, incomplete=True)
    assert pulse.look(31.0) == "fine"
    pulse.progress(32.0, packets=True, incomplete=False)
    assert pulse.look(41.0) == "fine"


def test_what_this_side_did_not_listen_to_is_excused():
    pulse = Pulse(TIMING, 0.0)
    assert pulse.look(10.0) == "ping"
    pulse.excuse(16.0)
    assert pulse.look(16.0) == "fine"
    assert pulse.next() == 26.0


def test_pings_faster_than_a_tenth_of_ours_are_too_many_after_three_strikes():
    pulse = Pulse(TIMING, 0.0)
    assert not pulse.pinged(0.0)
    assert [pulse.pinged(0.1 * each) for each in range(1, 5)] == [False, False, False, True]


def test_a_ping_in_good_time_forgives():
    pulse = Pulse(TIMING, 0.0)
    for when in (0.0, 0.1, 0.2, 0.3, 5.0, 5.1):
        assert not pulse.pinged(when)
