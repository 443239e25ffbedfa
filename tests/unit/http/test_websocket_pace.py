"""How slow, silent and busy a peer may be, without a socket or a clock."""

from vyked_host.builtin.http.pace import Allowances
from vyked_host.builtin.http.websocket.pace import SocketPace
from vyked_host.contracts import TimingTable

ALLOWED = Allowances(TimingTable())  # ping 10, pong 5, body 30, write 10


def pace(rate: int | None = None) -> SocketPace:
    return SocketPace(ALLOWED, 0.0, rate)


def look(each: SocketPace, now: float, reading: bool = True, unsent: int = 0) -> str | None:
    return each.too_slow(now, reading=reading, unsent=unsent)


def test_a_quiet_peer_is_asked_once_and_cut_when_it_does_not_answer() -> None:
    each = pace()
    assert not each.wants_ping(9.9)
    assert each.wants_ping(10.0)
    assert not each.wants_ping(11.0)
    assert look(each, 15.0) is None
    assert look(each, 15.1) == "pong"


def test_whatever_comes_is_an_answer() -> None:
    each = pace()
    assert each.wants_ping(10.0)
    each.heard(14.0, 1, partial=False)
    assert look(each, 20.0) is None
    assert not each.wants_ping(23.9)
    assert each.wants_ping(24.0)


def test_a_peer_that_this_side_does_not_read_is_not_silent() -> None:
    each = pace()
    assert each.wants_ping(10.0)
    for now in (12.0, 14.0, 40.0):
        assert look(each, now, reading=False) is None
    assert look(each, 45.0) is None
    assert each.wants_ping(50.0)


def test_a_message_has_its_time_from_its_first_byte() -> None:
    each = pace()
    each.heard(5.0, 0, partial=True)
    for now in (15.0, 25.0, 35.0):
        each.heard(now, 1, partial=True)  # fragments and pongs meanwhile
        assert look(each, now) is None
    assert look(each, 35.1) == "message"


def test_a_complete_message_starts_the_time_anew() -> None:
    each = pace()
    each.heard(5.0, 0, partial=True)
    each.heard(20.0, 1, partial=False)
    each.heard(30.0, 0, partial=True)
    assert look(each, 38.0) is None


def test_a_reader_that_takes_nothing_is_cut() -> None:
    each = pace()
    for now in range(0, 60, 5):
        each.heard(float(now), 0, partial=False)
        assert look(each, float(now), unsent=1000 - now) is None
    each.heard(65.0, 0, partial=False)
    assert look(each, 65.0, unsent=945) is None
    each.heard(66.0, 0, partial=False)
    assert look(each, 65.1, unsent=945) == "reading"


def test_a_rate_is_an_average_over_ten_seconds() -> None:
    each = pace(10)
    assert each.heard(0.0, 100, partial=False)
    assert not each.heard(0.0, 1, partial=False)
    each = pace(10)
    for second in range(100):
        assert each.heard(float(second), 10, partial=False)
    assert each.heard(99.0, 90, partial=False)
    assert not each.heard(99.05, 5, partial=False)
    assert pace(None).heard(0.0, 10**9, partial=False)
