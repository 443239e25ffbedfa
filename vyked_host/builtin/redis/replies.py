"""What a server says, taken apart: RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/). Bytes go in as they came, in
pieces of any size, and whole replies come out, one at a time. No socket, no loop.

redis-py has a parser of its own, which reads a line at a time out of a stream, with a coroutine for each: that was half of what an event
took. What is not whole is kept, and looked at again only when enough has come. Whatever a server would not send is an InvalidResponse;
after that this is of no use any more.
"""

from __future__ import annotations

from typing import Any

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
    RedisError,
    ResponseError,
    TryAgainError,
)

NOTHING = object()
"""Instead of a reply: none is whole yet."""
CRLF = b"\r\n"
LONGEST_LINE = 64 << 10
LARGEST_BULK = 512 << 20
"""Bytes: no server gives more in one string unless it is told to (https://valkey.io/topics/valkey.conf/, proto-max-bulk-len)."""
DEEPEST = 32
"""Arrays within arrays: what we ask is answered with four at most."""
SHOWN = 60
_BULK, _NUMBER, _ARRAY, _STATUS, _ERROR = b"$:*+-"
_KINDS: dict[str, type[RedisError]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "ERR": ResponseError,
    "LOADING": BusyLoadingError,
    "MASTERDOWN": ClusterDownError,
    "MOVED": MovedError,
    "NOAUTH": AuthenticationError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "TRYAGAIN": TryAgainError,
    "WRONGPASS": AuthenticationError,
}
"""Errors by their first word, as redis-py tells them apart."""


class Replies:
    """Strings are bytes, what is not there is None, an error of the server is one of redis-py's, as a value."""

    def __init__(self) -> None:
        self._data, self._at = b"", 0
        self._more: list[bytes] = []
        self._missing = 0  # bytes, at least, without which there is no reply
        self._items: list[Any] | None = None  # of the innermost array that is not whole
        self._left = 0
        self._outer: list[tuple[list[Any] | None, int]] = []

    @property
    def kept(self) -> int:
        """Bytes that nobody has had yet."""
        return len(self._data) - self._at + sum(map(len, self._more))

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        if self._at == len(self._data):
            self._data, self._at = data, 0
        else:
            self._more.append(data)
            self._missing -= len(data)

    def next(self) -> Any:
        """The next reply, or NOTHING. Raises InvalidResponse."""
        if self._more and not self._has_enough():
            return NOTHING
        data, at, items, left, find = self._data, self._at, self._items, self._left, self._data.find
        while (end := find(CRLF, at)) >= 0:
            kind = data[at]
            value: Any = None
            try:
                if kind == _BULK:
                    stop = (start := end + 2) + int(data[at + 1 : end])
                    if stop >= start:
                        if not data.startswith(CRLF, stop):
                            self._await_rest(data, at, end, stop)
                            break
                        value, end = data[start:stop], stop
                elif kind == _ARRAY and (count := int(data[at + 1 : end])) > 0:
                    self._enter(items, left)
                    items, left, at = [], count, end + 2
                    continue
                else:
                    value = _short(kind, data[at + 1 : end])
            except ValueError:
                raise unreadable(data[at:end]) from None
            at = end + 2
            while items is not None:
                items.append(value)
                left -= 1
                if left:
                    break
                value = items
                items, left = self._outer.pop()
            else:
                self._at, self._items, self._left = at, None, 0
                return value
        else:
            self._await_line(data, at)
        self._at, self._items, self._left = at, items, left
        return NOTHING

    def _has_enough(self) -> bool:
        """Has come what was missing? Then it is looked at with the rest."""
        if self._missing > 0:
            return False
        self._data, self._at = b"".join((self._data[self._at :], *self._more)), 0
        self._more.clear()
        return True

    def _enter(self, items: list[Any] | None, left: int) -> None:
        """An array within this one. Raises ValueError."""
        self._outer.append((items, left))
        if len(self._outer) > DEEPEST:
            raise ValueError(f"arrays {DEEPEST} deep")

    def _await_line(self, data: bytes, at: int) -> None:
        """A line has no end: it is yet to come."""
        self._missing = 1
        if len(data) - at > LONGEST_LINE:
            raise unreadable(data[at:])

    def _await_rest(self, data: bytes, at: int, end: int, stop: int) -> None:
        """A string has no end: it is yet to come."""
        self._missing = stop + len(CRLF) - len(data)
        if stop - end > LARGEST_BULK or self._missing <= 0 or not CRLF.startswith(data[stop:]):
            raise unreadable(data[at:end])


def _short(kind: int, text: bytes) -> Any:
    """What is said in one line, an array of nothing too. Raises ValueError when it is none of RESP2's."""
    if kind == _NUMBER:
        return int(text)
    if kind == _STATUS:
        return text
    if kind == _ERROR:
        return refusal(text.decode(errors="replace"))
    if kind == _ARRAY:
        return [] if int(text) == 0 else None
    raise ValueError(kind)


def refusal(text: str) -> RedisError:
    """An error of the server as redis-py has it. Raises ValueError for one that says where to ask instead and does not."""
    word, _, rest = text.partition(" ")
    kind = _KINDS.get(word)
    return ResponseError(text) if kind is None else kind(rest)


def unreadable(line: bytes) -> InvalidResponse:
    """The error for what no server would send."""
    return InvalidResponse(f"Protocol Error: {line[:SHOWN]!r}{'...' if len(line) > SHOWN else ''}")
