"""A connection over subjects: an asyncio transport whose bytes travel as numbered messages between two inboxes.

Nothing is sent again: NATS keeps the order of what one client publishes, and a message that is missing means that a connection to the
servers was lost, so this one is lost too. How much may be under way is bounded: the receiver says how much it has taken.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

DATA, TAKEN, END, LOST, PROBE = (each.encode() for each in "DTELP")
"""The first byte of a message: bytes of the stream, how many were taken, the stream's end, the connection's, a question whether
anybody is there."""
WINDOW: Final = 512 << 10
"""Bytes under way that the other end has not taken."""
CHUNK: Final = 64 << 10
"""Bytes of one message at most: what waits behind it on the same connection to the servers waits for no more."""
OVERHEAD: Final = 64
"""Of a message's size, what is not bytes of the stream."""
_HEAD: Final = struct.Struct(">cI")
_COUNT: Final = struct.Struct(">cQ")
Post = Callable[[bytes], None]


class SubjectLink(asyncio.Transport):
    """One end. `post` sends a message to the other, `gone` is told when it is over."""

    def __init__(self, post: Post, gone: Callable[[], None], peer: str, chunk: int) -> None:
        super().__init__({"peername": (peer, 0)})
        self._post, self._gone, self._chunk = post, gone, max(1, min(CHUNK, chunk - OVERHEAD))
        self._loop = asyncio.get_running_loop()
        self._protocol: asyncio.Protocol | None = None
        self._out: deque[bytes] = deque()
        self._waiting = self._sent = self._acked = self._number = 0
        self._in: deque[bytes] = deque()
        self._taken = self._told = self._expected = 0
        self._high, self._low = 64 << 10, 16 << 10
        self._is_full = self._is_paused = self._is_closing = self._is_over = self._has_ended = False

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """The connection stands."""
        self._protocol = cast(asyncio.Protocol, protocol)
        self._protocol.connection_made(self)
        self._deliver()

    # ---- asyncio.Transport: writing ------------------------------------------------------------------------------------
    def write(self, data: Any) -> None:
        """Send, as far as the other end takes it."""
        if data and not (self._is_closing or self._is_over):
            self._out.append(bytes(data))
            self._waiting += len(data)
            self._pump()
            self._weigh()

    def writelines(self, list_of_data: Any) -> None:
        """Send all of it."""
        self.write(b"".join(list_of_data))

    def _pump(self) -> None:
        while self._out and self._sent - self._acked < WINDOW:
            first = self._out.popleft()
            size = min(self._chunk, WINDOW - (self._sent - self._acked))
            if len(first) > size:
                self._out.appendleft(first[size:])
                first = first[:size]
            self._post(_HEAD.pack(DATA, self._number) + first)
            self._number = (self._number + 1) & 0xFFFFFFFF
            self._sent += len(first)
            self._waiting -= len(first)
        if self._is_closing and not self._out:
            self._finish()

    def _weigh(self) -> None:
        if self._protocol is None or self._is_over:
            return
        if not self._is_full and self._waiting > self._high:
            self._is_full = True
            self._protocol.pause_writing()
        elif self._is_full and self._waiting <= self._low:
            self._is_full = False
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        """Bytes that wait because the other end has not taken what is under way."""
        return self._waiting

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high water."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the writer is told to wait, and to go on."""
        self._high = (64 << 10 if low is None else 4 * low) if high is None else high
        self._low = self._high // 4 if low is None else low

    def can_write_eof(self) -> bool:
        """No: an end ends both directions, after all that was written, and nothing that the other end sends then takes any of it away."""
        return False

    # ---- asyncio.Transport: reading ------------------------------------------------------------------------------------
    def is_reading(self) -> bool:
        """Is the protocol given what comes?"""
        return not (self._is_paused or self._is_closing or self._is_over)

    def pause_reading(self) -> None:
        """Keep what comes; no more than is under way can."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Go on."""
        if self._is_paused:
            self._is_paused = False
            self._loop.call_soon(self._deliver)

    def heard(self, payload: bytes) -> None:
        """One message of the other end."""
        kind = payload[:1]
        if self._is_over:
            return
        if kind == DATA:
            self._data(payload)
        elif kind == TAKEN and len(payload) == _COUNT.size:
            self._acked = max(self._acked, min(_COUNT.unpack(payload)[1], self._sent))
            self._pump()
            self._weigh()
        elif kind == END:
            self._has_ended = True
            self._deliver()
        elif kind == LOST:
            self.lost(ConnectionResetError("the other end is gone"))

    def _data(self, payload: bytes) -> None:
        if len(payload) < _HEAD.size or _HEAD.unpack_from(payload)[1] != self._expected:
            self._post(LOST)
            self.lost(ConnectionResetError("a message was lost on its way"))
            return
        self._expected = (self._expected + 1) & 0xFFFFFFFF
        self._in.append(payload[_HEAD.size :])
        self._deliver()

    def _deliver(self) -> None:
        protocol = self._protocol
        while self._in and protocol is not None and self.is_reading():
            data = self._in.popleft()
            self._take(len(data))
            try:
                protocol.data_received(data)
            except Exception as error:  # noqa: BLE001 - as asyncio's own transports do: told, and the connection is over
                self._loop.call_exception_handler(
                    {"message": "a protocol failed", "exception": error, "transport": self}
                )
                self.abort()
        if self._has_ended and not self._in and protocol is not None and not self._is_over:
            self._has_ended = False
            protocol.eof_received()
            self.close()

    def _take(self, size: int) -> None:
        self._taken += size
        if self._taken - self._told >= WINDOW // 4:
            self._told = self._taken
            self._post(_COUNT.pack(TAKEN, self._taken))

    def ask(self) -> None:
        """Is anybody there? Where not, the servers say so."""
        if not self._is_over:
            self._post(PROBE)

    # ---- the end ---------------------------------------------------------------------------------------------------------
    def is_closing(self) -> bool:
        """Was it closed, or is it over?"""
        return self._is_closing or self._is_over

    def close(self) -> None:
        """Once everything is sent."""
        if not self._is_closing:
            self._is_closing = True
            self._pump()

    def abort(self) -> None:
        """At once."""
        if not self._is_over:
            self._post(LOST)
            self._end(None)

    def _finish(self) -> None:
        if not self._is_over:
            self._post(END)
            self._end(None)

    def lost(self, error: Exception | None) -> None:
        """The connection broke. Idempotent."""
        if not self._is_over:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._is_over = self._is_closing = True
        self._out.clear()
        self._in.clear()
        self._waiting = 0
        self._gone()
        if self._protocol is not None:
            self._loop.call_soon(self._protocol.connection_lost, error)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told what comes."""
        return cast(asyncio.BaseProtocol, self._protocol)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on another one."""
        self._protocol = cast(asyncio.Protocol, protocol)
