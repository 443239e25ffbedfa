"""Events that stand one behind the other, taken many at once: whatever the pieces they come in, as if each had been read by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vyked_nats.lines import MOST, Lines
from vyked_nats.parser import NotNats, Parser


def message(number=b"1", data=b"abc", subject=b"v.event.s.1.n", size=None):
    """As a server sends it."""
    return b"MSG %b %b %d\r\n%b\r\n" % (subject, number, len(data) if size is None else size, data)


@pytest.fixture
def lines():
    return Lines({b"1": "one", b"2": "two"})


def test_those_at_the_beginning_are_found_in_order(lines):
    data = message(data=b"a\r\nMSG") + message(b"2", b"") + message(data=b"c" * 9)
    assert lines.within(data) == (len(data), [("one", [b"a\r\nMSG"]), ("two", [b""]), ("one", [b"c" * 9])])


def test_those_with_the_same_line_are_found_together(lines):
    data = b"".join(message(data=b"%d\r\n" % number) for number in range(100, 200)) + message(b"2")
    same = [b"%d\r\n" % number for number in range(100, 200)]
    assert lines.within(data) == (len(data), [("one", same), ("two", [b"abc"])])


@pytest.mark.parametrize(
    "behind",
    [
        b"", b"PONG\r\n" + message(), message()[:-1], message()[:9], message(b"3"), message(size=2), message(subject=b""), message(subject=b"a\rb"),
        b"MSG v.event.s.1.n 1 answer.to 3\r\nabc\r\n", b"HMSG v.event.s.1.n 1 12 12\r\nNATS/1.0\r\n\r\n\r\n", b"\r\n",
    ],
)  # fmt: skip
def test_what_stands_behind_is_left(lines, behind):
    data = message(data=b"a") + message(data=b"b")
    for _ in range(2):  # also once the line is known
        assert lines.within(data + behind) == (len(data), [("one", [b"a", b"b"])])


def test_numbers_may_be_those_of_others_later():
    numbers = {b"1": "one"}
    lines = Lines(numbers)
    lines.within(message())
    numbers[b"1"] = "another"
    lines.forget()
    assert lines.within(message()) == (len(message()), [("another", [b"abc"])])


def test_it_keeps_so_many_and_goes_on(lines):
    for size in range(2 * MOST):
        data = message(data=b"x" * size)
        assert lines.within(data) == (len(data), [("one", [b"x" * size])])
        assert len(lines._known) <= MOST


class Taker:
    """What a connection gives away, one by one or many at once."""

    def __init__(self, *, ahead):
        self.taken, self.said, self.error = [], [], None
        self.lines = Lines({number: number for number in (b"1", b"2")})
        heard = {
            number: lambda found, number=number: self.taken.append((number, found.data)) for number in (b"1", b"2")
        }
        self.parser = Parser(heard, self.said.append, pytest.fail)
        if ahead:
            self.parser.ahead = self.ahead

    def ahead(self, data):
        end, found = self.lines.within(data)
        self.taken += [(number, data) for number, alike in found for data in alike]
        return end

    def feed(self, data):
        if self.error is None:
            try:
                self.parser.feed(data)
            except NotNats as error:
                self.error = str(error)


PIECES = st.one_of(
    st.builds(message, st.sampled_from([b"1", b"2", b"77"]), st.binary(max_size=20)),
    st.builds(message, st.just(b"1"), st.builds(message)),
    st.builds(message, size=st.integers(0, 5)),
    st.sampled_from(
        [
            b"PONG\r\n",
            b"MSG a 1 reply 2\r\nab\r\n",
            b"HMSG a 2 12 14\r\nNATS/1.0\r\n\r\nab\r\n",
            message(subject=b"a\rb"),
        ]
    ),
)


@given(st.lists(PIECES, max_size=20), st.lists(st.integers(0, 600), max_size=6))
def test_in_pieces_of_any_size_the_same_comes_out_in_the_same_order(pieces, cuts):
    data = b"".join(pieces)
    ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
    takers = [Taker(ahead=True), Taker(ahead=False)]
    for taker in takers:
        begin = 0
        for end in ends:
            taker.feed(data[begin:end])
            begin = end
    one, other = takers
    assert (one.taken, one.said, one.error) == (other.taken, other.said, other.error)
