"""How the items of a stream stand in a body: one JSON value a line, server-sent events, or sized frames for other serializers.

A stream that fails ends with an error item, and the body is then cut instead of completed: whoever reads the items knows
from the missing end that the last one is the error.
"""

from __future__ import annotations

import struct
from typing import Protocol

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
FRAMES = "application/x-vyked-frames"

_SIZE = struct.Struct(">I")


class Framing(Protocol):
    """Puts items into a body."""

    content_type: str

    def item(self, body: bytes) -> bytes:
        """One item as it stands in the body."""
        ...

    def error(self, body: bytes) -> bytes:
        """The error (JSON) that ends a failed stream."""
        ...


class Lines:
    """NDJSON: one JSON value a line."""

    content_type = NDJSON

    def item(self, body: bytes) -> bytes:
        """The value and a line feed."""
        return body + b"\n"

    def error(self, body: bytes) -> bytes:
        """The error object is the last line."""
        return body + b"\n"


class Events:
    """Server-sent events, for browsers."""

    content_type = EVENTS

    def item(self, body: bytes) -> bytes:
        """One message event."""
        return b"data: " + body + b"\n\n"

    def error(self, body: bytes) -> bytes:
        """An event of the type ``error``."""
        return b"event: error\ndata: " + body + b"\n\n"


class Frames:
    """Four bytes of length (big endian), then the item."""

    content_type = FRAMES

    def item(self, body: bytes) -> bytes:
        """Length and item."""
        return _SIZE.pack(len(body)) + body

    def error(self, body: bytes) -> bytes:
        """The same: that it is the error follows from the missing end."""
        return self.item(body)


class Splitter(Protocol):
    """Takes chunks of a body, gives items."""

    def feed(self, data: bytes) -> list[bytes]:
        """The items that are complete now. Raises ValueError for an item over the limit."""
        ...

    def rest(self) -> bytes:
        """What is left when the body has ended: the last line needs no line feed, else empty."""
        ...


class LineSplitter:
    """Splits NDJSON; empty lines are skipped. `limit` bounds one line, in bytes; 0: no bound."""

    def __init__(self, limit: int) -> None:
        self._limit, self._partial = limit, bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Complete lines, without their line feeds."""
        self._partial += data
        *lines, last = self._partial.split(b"\n")
        self._partial = last
        longest = max(map(len, (*lines, last)))
        if self._limit and longest > self._limit:
            raise ValueError(f"an item is longer than {self._limit} bytes")
        return [bytes(line) for line in lines if line.strip()]

    def rest(self) -> bytes:
        """The last line when it had no line feed."""
        return bytes(self._partial).strip()


class FrameSplitter:
    """Splits sized frames. `limit` bounds one frame, in bytes; 0: no bound."""

    def __init__(self, limit: int) -> None:
        self._limit, self._partial = limit, bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Complete frames."""
        self._partial += data
        found: list[bytes] = []
        start = 0
        while len(self._partial) - start >= _SIZE.size:
            (size,) = _SIZE.unpack_from(self._partial, start)
            if self._limit and size > self._limit:
                raise ValueError(f"an item of {size} bytes is longer than {self._limit}")
            end = start + _SIZE.size + size
            if end > len(self._partial):
                break
            found.append(bytes(self._partial[start + _SIZE.size : end]))
            start = end
        del self._partial[:start]
        return found

    def rest(self) -> bytes:
        """Nothing: an incomplete frame is no item. Raises ValueError when there is one."""
        if self._partial:
            raise ValueError("the body ended inside a frame")
        return b""


def framing_for(serializer: str) -> Framing:
    """How items of `serializer` travel: JSON as lines, anything else in frames."""
    return Lines() if serializer == "json" else Frames()


def splitter_for(serializer: str, limit: int) -> Splitter:
    """The other end of :func:`framing_for`."""
    return LineSplitter(limit) if serializer == "json" else FrameSplitter(limit)
