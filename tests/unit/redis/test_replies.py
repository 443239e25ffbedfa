"""RESP2, taken apart: whatever the pieces, what comes out is what a server said, and what no server says ends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from vyked_host.builtin.redis.replies import DEEPEST, LARGEST_BULK, LONGEST_LINE, NOTHING, Replies
from vyked_host.builtin.redis.wire import packed


class Status(bytes):
    """What a server says in a line."""


def said(reply: object) -> bytes:
    """As a server writes it (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    match reply:
        case None:
            return b"$-1\r\n"
        case Status():
            return b"+%b\r\n" % bytes(reply)
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case int():
            return b":%d\r\n" % reply
        case list():
            return b"*%d\r\n%b" % (len(reply), b"".join(map(said, reply)))
    raise TypeError(reply)


def all_of(replies: Replies) -> list[object]:
    found = []
    while (reply := replies.next()) is not NOTHING:
        found.append(reply)
    return found


def heard(data: bytes, *cuts: int) -> list[object]:
    """What comes out of `data` when it comes in pieces."""
    replies, found, begin = Replies(), [], 0
    for end in [*sorted(cuts), len(data)]:
        replies.feed(data[begin:end])
        found += all_of(replies)
        begin = end
    assert replies.kept == 0
    return found


LINES = st.text("abcOK 12", max_size=8).map(lambda text: Status(text.encode()))
LEAVES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | LINES
REPLIES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@given(replies=st.lists(REPLIES, max_size=5), data=st.data())
def test_replies_come_out_as_they_went_in_whatever_the_pieces(replies: list[object], data: st.DataObject) -> None:
    written = b"".join(map(said, replies))
    cuts = data.draw(st.lists(st.integers(0, len(written)), max_size=6))
    assert heard(written, *cuts) == replies


def test_a_byte_at_a_time() -> None:
    replies = [[b"message", b"channel", b"a\r\nb$3\r\n"], 7, None, [], Status(b"OK"), [[1, [b"", None]], []], b""]
    written = b"".join(map(said, replies))
    assert heard(written, *range(len(written))) == replies
    assert heard(b"*-1\r\n") == [None]


def test_what_was_not_asked_for_yet_is_kept_while_more_comes() -> None:
    replies = Replies()
    replies.feed(said(1) + said(2) + b"$5\r\nab")
    assert replies.next() == 1
    replies.feed(b"cde\r\n")
    replies.feed(said(3))
    assert replies.kept > 0
    assert all_of(replies) == [2, b"abcde", 3]
    assert replies.kept == 0


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("ERR unknown command 'x'", ResponseError, "unknown command 'x'"),
        ("WRONGTYPE Operation against a key", ResponseError, "WRONGTYPE Operation against a key"),
        ("BUSYGROUP Consumer Group name already exists", ResponseError, "BUSYGROUP Consumer Group name already exists"),
        ("NOGROUP No such key", ResponseError, "NOGROUP No such key"),
        ("NOPERM no permissions", NoPermissionError, "no permissions"),
        ("NOSCRIPT No matching script", NoScriptError, "No matching script"),
        ("OOM command not allowed", OutOfMemoryError, "command not allowed"),
        ("READONLY You can't write", ReadOnlyError, "You can't write"),
        ("LOADING the dataset", BusyLoadingError, "the dataset"),
        ("NOAUTH Authentication required.", AuthenticationError, "Authentication required."),
        ("TRYAGAIN Multiple keys", TryAgainError, "Multiple keys"),
        ("CLUSTERDOWN The cluster is down", ClusterDownError, "The cluster is down"),
        ("MASTERDOWN Link with MASTER is down", ClusterDownError, "Link with MASTER is down"),
        ("MOVED 3999 127.0.0.1:6381", MovedError, "3999 127.0.0.1:6381"),
        ("ASK 3999 127.0.0.1:6381", AskError, "3999 127.0.0.1:6381"),
    ],
)
def test_errors_are_those_of_redis_py(line: str, kind: type[Exception], text: str) -> None:
    [error] = heard(b"-%b\r\n" % line.encode())
    assert type(error) is kind
    assert text in str(error)
    [within] = heard(b"*2\r\n-%b\r\n:1\r\n" % line.encode())
    assert type(within[0]) is kind


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"$x\r\n",
        b"$\r\n",
        b"*x\r\n",
        b":\r\n",
        b":1.5\r\n",
        b"%1\r\n",
        b"$1\r\nabc\r\n",
        b"$2\r\nab\rx",
        b"-MOVED somewhere\r\n",
        b"+" + b"x" * (LONGEST_LINE + 1),
        b"$%d\r\n" % (LARGEST_BULK + 3),
        b"*1\r\n" * (DEEPEST + 1),
    ],
)
def test_what_no_server_says_is_refused(garbage: bytes) -> None:
    replies = Replies()
    replies.feed(said(1) + garbage)
    assert replies.next() == 1
    with pytest.raises(InvalidResponse, match="Protocol Error") as caught:
        replies.next()
    assert len(str(caught.value)) < 120


@given(garbage=st.binary(max_size=60), data=st.data())
def test_nothing_else_is_raised_whatever_comes(garbage: bytes, data: st.DataObject) -> None:
    cut, replies = data.draw(st.integers(0, len(garbage))), Replies()
    try:
        for piece in (garbage[:cut], garbage[cut:]):
            replies.feed(piece)
            all_of(replies)
    except InvalidResponse:
        return


def test_a_large_string_in_small_pieces_is_looked_at_when_it_is_whole() -> None:
    replies, piece, looked = Replies(), b"x" * 1000, 0
    replies.feed(b"$1000000\r\n")
    assert replies.next() is NOTHING
    for _ in range(1000):
        replies.feed(piece)
        assert replies.next() is NOTHING
        looked += len(replies._data) > 10
    assert looked <= 1
    replies.feed(b"\r\n")
    assert replies.next() == piece * 1000


def test_a_command_travels_as_strings() -> None:
    assert packed(("PUBLISH", "ä", b"\x00\r\n")) == b"*3\r\n$7\r\nPUBLISH\r\n$2\r\n\xc3\xa4\r\n$3\r\n\x00\r\n\r\n"
    assert heard(packed(("XACK", "s", "g", "1-0"))) == [[b"XACK", b"s", b"g", b"1-0"]]
