"""What confirms events, many at once: whatever the pieces it comes in, as if each had been read by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vyked_nats.jetstream.confirmations import NOTHING, Confirmations
from vyked_nats.parser import Parser

INBOX, SID = "_INBOX.abc.", b"1"


def answer(number, data, inbox=INBOX, sid=SID, size=None):
    """As a server sends it."""
    return b"MSG %b%b %b %d\r\n%b\r\n" % (inbox.encode(), number, sid, len(data) if size is None else size, data)


def kept(sequence, stream="s+e", more="", space=""):
    return f'{{"stream":"{stream}",{space}"seq":{sequence}{more}}}'.encode()


def plain(number, sequence):
    return answer(b"%08d" % number, kept(sequence))


@pytest.fixture
def learned():
    confirmations = Confirmations(INBOX, SID, "s+e")
    confirmations.learn(b"00000001", 10, kept(10))
    return confirmations


def test_nothing_is_alike_before_one_was_read():
    assert Confirmations(INBOX, SID, "s+e").within(plain(1, 10)) == NOTHING


def test_those_beside_each_other_are_found_with_the_place_of_the_last(learned):
    data = plain(2, 11) + plain(3, 13) + plain(4, 12)
    assert learned.within(data) == (len(data), [b"00000002", b"00000003", b"00000004"], 12)


@pytest.mark.parametrize(
    "behind",
    [
        plain(4, 14)[:-1], plain(4, 14)[:20], b"PONG\r\n", answer(b"00000004", kept(14, more=',"duplicate": true')),
        plain(4, 100), answer(b"100000004", kept(14)), b"MSG a 2 4\r\nabcd\r\n" + plain(5, 15),
    ],
)  # fmt: skip
def test_what_stands_behind_is_left(learned, behind):
    data = plain(2, 11) + plain(3, 12)
    assert learned.within(data + behind) == (len(data), [b"00000002", b"00000003"], 12)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"PONG\r\n" + plain(2, 11), b"MSG a 2 70\r\n" + plain(2, 11), answer(b"00000002", kept(11), sid=b"2"),
        answer(b"00000002", kept(11), inbox="_INBOX.abd."), answer(b"00000002", kept(11, stream="s+f")),
        answer(b"00000002", kept(11, space=" ")), answer(b"0000000x", kept(11)),
        answer(b"00000002", kept(11), size=len(kept(11)) + 9) + b"1234567\r\n",
    ],
)  # fmt: skip
def test_nothing_else_is_alike(learned, data):
    assert learned.within(data) == NOTHING


@pytest.mark.parametrize("found", [kept(100, space=" "), kept(100)])
def test_it_learns_how_a_server_says_it_and_of_how_many_digits(learned, found):
    learned.learn(b"00000009", 100, found)
    data = answer(b"00000010", found) * 2
    assert learned.within(data) == (len(data), [b"00000010"] * 2, 100)


@pytest.mark.parametrize(
    "found", [kept(100, more=',"duplicate": true'), kept(100, stream="x"), b'{"seq":100}', b"-ERR"]
)
def test_it_learns_of_nothing_else(learned, found):
    learned.learn(b"00000009", 100, found)
    data = plain(2, 11)
    assert learned.within(data) == (len(data), [b"00000002"], 11)


ANSWERS = st.one_of(
    st.builds(plain, st.integers(1, 30), st.integers(1, 1200)),
    st.builds(lambda number, seq: answer(b"%08d" % number, kept(seq, more=',"duplicate": true')), st.integers(1, 30), st.integers(1, 1200)),
    st.builds(lambda data: answer(b"00000007", data, size=len(data)), st.binary(max_size=40)),
    st.builds(lambda inner: answer(b"00000008", inner), st.builds(plain, st.integers(1, 30), st.integers(1, 1200))),
    st.just(b"PONG\r\n"),
)  # fmt: skip


class Taker:
    """What a connection gives away, one by one or, where they are alike, many at once."""

    def __init__(self, *, ahead):
        self.taken, self.lines = [], []
        self.alike = Confirmations(INBOX, SID, "s+e")
        self.parser = Parser({SID: self.heard}, self.lines.append, pytest.fail)
        if ahead:
            self.parser.ahead = self.ahead

    def heard(self, message):
        number, digits = message.sent_to[len(INBOX) :], message.data.rpartition(b":")[2].rstrip(b"}")
        self.taken.append(number)
        if digits.isdigit():
            self.alike.learn(number, int(digits), message.data)

    def ahead(self, data):
        end, numbers, _ = self.alike.within(data)
        self.taken += numbers
        return end


@given(st.lists(ANSWERS, max_size=30), st.lists(st.integers(0, 1000), max_size=6))
def test_in_pieces_of_any_size_the_same_is_confirmed_in_the_same_order(answers, cuts):
    data = b"".join(answers)
    ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
    takers = [Taker(ahead=True), Taker(ahead=False)]
    for taker in takers:
        begin = 0
        for end in ends:
            taker.parser.feed(data[begin:end])
            begin = end
    one, other = takers
    assert (one.taken, one.lines) == (other.taken, other.lines)


def test_who_takes_ahead_and_raises_ends_nothing():
    failures, taken = [], []
    parser = Parser({SID: lambda message: taken.append(message.data)}, pytest.fail, lambda: failures.append(1))

    def ahead(_data):
        raise ValueError

    parser.ahead = ahead
    parser.feed(plain(1, 10))
    assert (failures, taken) == ([1], [kept(10)])
