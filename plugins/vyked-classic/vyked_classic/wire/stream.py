"""A byte stream of the old wire cut into packets.

The stream is the inside of one endless JSON array: objects, each followed by a comma; the fork of 1mg separates them with ``!<^>!``
instead. Whatever comes, `receive` returns what could be read and what could not, never raises, and holds at most one packet's
limit of bytes. After bytes that can't become a packet, what is left of the same segment is passed over, as the original did;
a packet that is whole but wrong (too large, too deep, a field of another type) costs itself alone. One that has lost the end of
a list would take every later packet for one more element: beyond ENDLESS times the limit, a segment that begins as packets do is one.
"""

from __future__ import annotations

from typing import NamedTuple

from .packets import FAULTS, Packet, decode, decode_many
from .scanner import DEPTH, NotJson, Scanner

COMMA = b","
FORK = b"!<^>!"
LARGEST = 1 << 20
ENDLESS = 4
"""Limits after which a packet may be one that never ends."""
SLICE = 16 << 10
"""Bytes that are given to the decoder at once: so many packets of the usual size have fewer brackets than DEPTH."""
TRIES = 3
"""Failures of it in one segment, after which each packet is looked at closely: who sends what it fails on makes no work."""
BEGIN = b'},{"pid"'
"""Where one packet ends and the next begins, as the original and we write them. Elsewhere it costs a closer look."""
_OPENS = ord("{")
_IGNORED = b" \t\r\n,["


class Malformed(NamedTuple):
    """Bytes that are no packet; `why` is for people."""

    why: str


class Closed(NamedTuple):
    """The peer said that it will send no more: the ``]`` that ends the array."""


Item = Packet | Malformed | Closed


def _whole_packets(data: bytes, at: int) -> int:
    """Where a run of packets that seem whole ends: at most about SLICE bytes on, at the end of the data, or at `at`."""
    end = len(data)
    if end - at <= SLICE and data.endswith(b"},"):
        return end
    last = data.rfind(BEGIN, at, at + SLICE)
    return last + 2 if last >= 0 else at


class Stream:
    """What one peer sends. `delimiter` is the one it uses, to be answered in kind; `largest`: bytes of a packet."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.delimiter = COMMA
        self._largest = largest
        self._held = bytearray()
        self._scanner = Scanner()
        self._inside = self._passing = False  # in a packet; of one that is too large
        self._length = 0  # bytes of it so far, held or not
        self._partial = b""  # of a delimiter that came in pieces

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their packet."""
        return len(self._held)

    def receive(self, data: bytes) -> list[Item]:
        """What one more segment completes."""
        found: list[Item] = []
        data, self._partial = self._partial + data if self._partial else data, b""
        at, end, tries = 0, len(data), TRIES
        while at < end:
            step: int | None = None
            if tries and not self._inside:
                step = self._at_once(data, at, found)
                tries -= step is None
            if step is None:
                step = self._go_on(data, at, found) if self._inside else self._between(data, at, found)
            if step is None:
                break
            at = step
        return found

    def _at_once(self, data: bytes, at: int, found: list[Item]) -> int | None:
        """Whole packets from `at` on, as nearly every segment has, read by the decoder alone. The answer is the place after them;
        None: look closely."""
        stop = _whole_packets(data, at)
        if stop - at > self._largest:
            return None
        text = data[at:stop] if at or stop < len(data) else data
        openings = text.count(b"{")
        if not text.endswith(b"},") or openings + text.count(b"[") > DEPTH:
            return None
        try:
            if openings < 3:
                found.append(decode(text[:-1]))
            else:
                found.extend(decode_many(b"[" + text[:-1] + b"]"))
        except FAULTS:
            return None
        return stop

    def _between(self, data: bytes, at: int, found: list[Item]) -> int | None:
        """Between packets. None: the rest of the segment is used up."""
        byte = data[at]
        if byte == _OPENS:
            self._inside = True
            self._scanner.begin()
            return at
        if byte in _IGNORED:
            return at + 1
        if byte == ord("]"):
            found.append(Closed())
            return at + 1
        piece = data[at : at + len(FORK)]
        if piece == FORK:
            self.delimiter = FORK
            return at + len(FORK)
        if FORK.startswith(piece):
            self._partial = piece
            return None
        found.append(Malformed(f"{chr(byte)!r} where a packet should begin"))
        return None

    def _go_on(self, data: bytes, at: int, found: list[Item]) -> int | None:
        """Inside a packet. None: the segment is used up, or what is left of it can't be read."""
        if at == 0 and self._begins_anew(data):
            found.append(Malformed(f"a packet that has no end within {self._length} bytes"))
            self._reset()
            return at
        try:
            after = self._scanner.scan(data, at, len(data))
        except NotJson as error:
            found.append(Malformed(str(error)))
            self._reset()
            return self._next_delimiter(data, at)
        self._hold(data, at, len(data) if after is None else after)
        if after is not None:
            found.append(self._whole())
            self._reset()
        return after

    def _begins_anew(self, data: bytes) -> bool:
        """Is this segment a packet, rather than one more element of a packet that has lost its end?"""
        return self._length > ENDLESS * self._largest and self._scanner.at_rest and data.startswith(BEGIN[2:])

    def _next_delimiter(self, data: bytes, at: int) -> int | None:
        """Where reading can go on within this segment. A comma may stand anywhere; the fork's delimiter is one for certain."""
        found = data.find(FORK, at) if self.delimiter is FORK else -1
        return None if found < 0 else found

    def _hold(self, data: bytes, at: int, end: int) -> None:
        self._length += end - at
        if self._passing or len(self._held) + end - at > self._largest:
            self._passing = True
            self._held.clear()
        else:
            self._held += memoryview(data)[at:end]

    def _whole(self) -> Item:
        """What the bytes of one packet say."""
        if self._passing:
            return Malformed(f"a packet of more than {self._largest} bytes")
        if self._scanner.too_deep:
            return Malformed(f"a packet with more than {DEPTH} brackets inside one another")
        try:
            return decode(bytes(self._held))  # a copy: what is read later points into it
        except FAULTS as error:
            return Malformed(f"a packet that can't be read: {error}")

    def _reset(self) -> None:
        self._held.clear()
        self._inside = self._passing = False
        self._length = 0
