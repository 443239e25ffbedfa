"""What a server sends, in pieces of any size: the same messages come out, or the one error."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vyked_nats.message import Message
from vyked_nats.parser import LARGEST_MESSAGE, LONGEST_LINE, NotNats, Parser

WORDS = st.binary(min_size=1, max_size=12).filter(lambda each: not set(each) & set(b" \r\n"))
NUMBERS = st.sampled_from([b"1", b"2", b"77"])
"""Of which 77 is nobody's."""
LINES = st.sampled_from(
    [b"PING", b"PONG", b"+OK", b"-ERR 'Permissions Violation for Publish to \"a\"'", b'INFO {"a":1}']
)
HEADERS = st.one_of(
    st.binary(max_size=30), st.dictionaries(st.sampled_from(["A", "Nats-Msg-Id"]), st.text("xyz:", max_size=5)).map(
        lambda found: b"NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in found.items()).encode() + b"\r\n"
    ),
)  # fmt: skip


@st.composite
def sent(draw):
    """What a server sends, in bytes, and what is to come out of it."""
    if draw(st.booleans()):
        line = draw(LINES)
        return line + b"\r\n", line
    subject, number, reply, data = draw(WORDS), draw(NUMBERS), draw(st.none() | WORDS), draw(st.binary(max_size=40))
    words = [subject, number, *([] if reply is None else [reply])]
    head = draw(st.just(b"") | HEADERS)
    if head or draw(st.booleans()):
        words = [b"HMSG", *words, b"%d" % len(head), b"%d" % (len(head) + len(data))]
    else:
        words = [b"MSG", *words, b"%d" % len(data)]
    message = (number, subject, reply or b"", data, head)
    return b" ".join(words) + b"\r\n" + head + data + b"\r\n", None if number == b"77" else message


class Taker:
    """Takes what a parser gives away, in order."""

    def __init__(self):
        self.taken, self.failures = [], 0
        heard = {number: self.of(number) for number in (b"1", b"2")}
        self.parser = Parser(heard, self.taken.append, self.failed)

    def of(self, number):
        def take(message: Message):
            self.taken.append((number, message.sent_to, message.answer_to, message.data, message.head))

        return take

    def failed(self):
        self.failures += 1

    def fed(self, pieces):
        """What came out; last, whether it is an error."""
        try:
            for each in pieces:
                self.parser.feed(each)
        except NotNats:
            return [*self.taken, NotNats]
        return self.taken


def cut(data, places):
    """`data` in pieces, cut at `places`."""
    at = [0, *sorted({each % (len(data) + 1) for each in places}), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(at) if start < stop]


PLACES = st.lists(st.integers(0, 1 << 16), max_size=8)


@given(st.lists(sent(), max_size=8), PLACES)
def test_however_it_is_cut_each_message_and_each_line_comes_out_in_order(stream, places):
    data, wanted = b"".join(each for each, _ in stream), [found for _, found in stream if found is not None]
    assert Taker().fed(cut(data, places)) == wanted
    assert Taker().fed(bytes([each]) for each in data) == wanted


@given(st.lists(sent(), max_size=4), st.binary(max_size=60), PLACES, st.data())
def test_junk_gives_the_same_messages_and_the_same_error_however_it_is_cut(stream, junk, places, data):
    whole = b"".join(each for each, _ in stream)
    at = data.draw(st.integers(0, len(whole)))
    broken = whole[:at] + junk + whole[at:]
    found = Taker().fed([broken])
    assert Taker().fed(cut(broken, places)) == found
    assert Taker().fed(bytes([each]) for each in broken) == found


@pytest.mark.parametrize(
    "line",
    [
        b"MSG a 1\r\n", b"MSG a 1 b c 1\r\n", b"MSG a 1 -5\r\n", b"MSG a 1 x\r\n", b"MSG\r\n", b"HMSG\r\n",
        b"HMSG a 1 5\r\n", b"HMSG a 1 9 5\r\n\r\n", b"HMSG a 1 -1 5\r\n", b"MSG a 1 3\r\nabcde\r\n", b"MSG a 1 " + b"9" * 5000 + b"\r\n",
        b"MSG a 1 %d\r\n" % (LARGEST_MESSAGE + 1), b"x" * (LONGEST_LINE + 2), b"x" * (LONGEST_LINE + 1) + b"\r\n",
    ],
)  # fmt: skip
def test_what_no_server_sends_is_an_error_that_says_what_it_was(line):
    with pytest.raises(NotNats, match="no NATS server sends: '") as found:
        Taker().parser.feed(line)
    assert len(str(found.value)) < 400


def test_no_more_is_kept_than_one_message_and_it_is_looked_at_once():
    taker, size = Taker(), 3 << 20
    taker.parser.feed(b"MSG a 1 %d\r\n" % size)
    for _ in range(size // 4096):
        taker.parser.feed(b"x" * 4096)
        assert not taker.taken
    assert sum(map(len, taker.parser._kept)) == size + len(b"MSG a 1 %d\r\n" % size)
    taker.parser.feed(b"\r\nPING\r\n")
    assert [len(taker.taken[0][3]), taker.taken[1]] == [size, b"PING"]
    assert not taker.parser._kept


def test_who_fails_to_take_a_message_keeps_nobody_else_from_the_next():
    taker = Taker()

    def raises(_message):
        raise ValueError

    taker.parser._heard[b"1"] = raises
    assert taker.fed([b"MSG a 1 0\r\n\r\nMSG b 2 0\r\n\r\n"]) == [(b"2", b"b", b"", b"", b"")]
    assert taker.failures == 1


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"", {}),
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 5\r\n\r\n", {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Consumer": "5"}),
        (b"NATS/1.0\r\nA:b\r\nB : c:d \r\n\r\n", {"A": "b", "B": "c:d"}),
        (b"NATS/1.0\r\nno colon\r\n: no name\r\ntwo words: x\r\nn\xffn: x\r\nB: \xff\r\n\r\n", {"B": "\ufffd"}),
        (b"HTTP/1.1 200\r\nA: b\r\n\r\n", {}),
        (b"NATS/1.0 abc\r\n", {}),
    ],
)  # fmt: skip
def test_what_is_no_header_is_left_out(head, found):
    assert Message(b"a", b"", b"", head).headers == found


@given(st.binary(max_size=80))
def test_headers_can_be_read_whatever_is_in_them(head):
    found = Message(b"a", b"", b"", b"NATS/1.0" + head).headers
    assert all(isinstance(each, str) for pair in found.items() for each in pair)
