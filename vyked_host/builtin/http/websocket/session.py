"""One open socket: `service.websockets.WebSocket` over an upgraded connection.

Three things meet here. The *pump* takes messages out of aiohttp's queue into a short one of its own, no faster than the handler
takes them: a peer that sends too much is stopped by TCP. *Sending* waits while the peer is slow; what waits is bounded. The
*end* may come from the handler, the peer, the drain or a broken rule; whoever is first decides the close code, once.
aiohttp's own heartbeat, pongs, compression and drain are off: its heartbeat takes a peer for dead that we ourselves keep
waiting, and its drain shares one Future among all senders, so that one that is cancelled would cancel the others.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import WSMsgType, web

from ....errors import Closed
from ..connection import Connection
from . import reasons
from .census import Sockets
from .frames import CLOSE, PING, PONG, Scanner, Violation, close_code, control
from .messages import Messages, Misfit
from .pace import SocketPace

QUEUE = 16
"""Messages that wait for the handler, beyond what aiohttp has buffered (512 KiB at most)."""
NEVER = 1 << 62
"""aiohttp would wait for a slow peer after so many bytes: we do, before each message."""


class Session:
    """`WebSocket`. Made by an Opening."""

    def __init__(self, request: web.Request, messages: Messages, sockets: Sockets) -> None:
        self.id, self.request = secrets.token_hex(8), request
        self._messages, self._sockets, self._now = messages, sockets, sockets.env.clock.now
        assert isinstance(request.protocol, Connection)
        self._connection: Connection = request.protocol
        limit = 0 if sockets.message is None else sockets.message + 1  # aiohttp refuses one of just its limit
        self.response = web.WebSocketResponse(
            timeout=sockets.allowed.pong, autoping=False, compress=False, max_msg_size=limit, writer_limit=NEVER,
            decode_text=False,
        )  # fmt: skip
        self._scanner = Scanner(sockets.message)
        self._pace = SocketPace(sockets.allowed, self._now(), sockets.rate)
        self._code: int | None = None
        self._theirs = reasons.LOST
        self.received = self.sent = 0
        self._inbox: deque[Any] = deque()
        self._over = self._broken = self._closing = False
        self._writable = True
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._waiters: list[asyncio.Future[None]] = []

    async def open(self) -> None:
        """Answer the request with the upgrade. Raises Closed when the peer has gone."""
        self._connection.upgrade(self)
        try:
            await self.response.prepare(self.request)
        except ConnectionError:
            self._end(reasons.LOST)
        self._check_open()
        self._sockets.opened(self)

    # ---- WebSocket ---------------------------------------------------------------------------------------------------
    @property
    def close_code(self) -> int | None:
        """None while it is open."""
        return self._code

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._inbox:
            if self._over:
                raise StopAsyncIteration
            await self._changed()
        self._ring()  # the pump may wait for room
        self.received += 1
        return self._inbox.popleft()

    async def send(self, message: Any, /) -> None:
        """Send one message, after those that wait already."""
        opcode, body = self._messages.encode(message)
        self._check_open()
        self._check_room(len(body))
        self._waiting += len(body)
        try:
            async with self._turn:
                while not self._writable and self._code is None:
                    await self._changed()
                self._check_open()
                await self.response.send_frame(body, WSMsgType(opcode))
                self.sent += 1
        except ConnectionError as error:
            self._end(self._theirs)
            raise self._closed() from error
        finally:
            self._waiting -= len(body)

    async def close(self, code: int = reasons.NORMAL, reason: str = "") -> None:
        """Close it, and wait until it is. Whoever was first has decided the code."""
        reasons.check(code)
        if not self._end(code):
            while self._closing:
                await self._changed()
            return
        self._closing = True
        try:
            await self.response.close(code=code, message=reasons.cut(reason))
        finally:
            self._closing = False
            self._ring()

    # ---- connection.Upgraded -----------------------------------------------------------------------------------------
    def guard(self, parser: Any) -> Any:
        """What bytes are fed to."""
        return Guard(parser, self._arrived)

    def writable(self, now: bool) -> None:
        """There is room for more, or none."""
        self._writable = now
        self._ring()

    def lost(self) -> None:
        """The connection is gone. aiohttp took what had arrived: the pump still gets it."""
        self._end(self._theirs)

    def too_slow(self, now: float, *, reading: bool, unsent: int) -> str | None:
        """Why it has to go; a ping goes out when it is time for one."""
        reason = self._pace.too_slow(now, reading=reading, unsent=unsent)
        if reason is None and self._code is None and self._pace.wants_ping(now):
            self._connection.write(control(PING))
        return reason

    # ---- bytes, as they arrive ---------------------------------------------------------------------------------------
    def _arrived(self, data: bytes) -> bool:
        """Look at bytes before aiohttp gets them; False: it gets nothing any more."""
        if self._broken:
            return False
        try:
            frames = self._scanner.feed(data)
        except Violation as violation:
            return self._break(violation.code, violation.reason)
        if not self._pace.heard(self._now(), len(frames), partial=self._scanner.is_partial):
            return self._break(reasons.POLICY, f"more than {self._sockets.rate} messages a second")
        for frame in frames:
            if frame.opcode == CLOSE:
                self._theirs = close_code(frame.payload)
            elif frame.opcode == PING and self._code is None and self._writable:
                self._connection.write(control(PONG, frame.payload))
        return True

    def _break(self, code: int, reason: str) -> bool:
        self._broken = True
        self._sockets.env.log.info("websocket %s closed with %d: %s", self.id, code, reason)
        self._sockets.close(self, code, reason)
        return False

    # ---- messages ----------------------------------------------------------------------------------------------------
    async def pump(self) -> None:
        """Take messages until there are no more; the iteration then ends."""
        try:
            while (value := await self._next()) is not None:
                while len(self._inbox) >= QUEUE and self._code is None:
                    await self._changed()
                self._inbox.append(value[0])
                self._ring()
        except Misfit as misfit:
            await self.close(misfit.code, misfit.reason)
        finally:
            self._end(self._theirs)
            self._over = True
            self._ring()

    async def _next(self) -> tuple[Any] | None:
        while True:
            message = await self.response.receive()
            if message.type is WSMsgType.TEXT:
                return (self._messages.text(message.data),)
            if message.type is WSMsgType.BINARY:
                return (self._messages.binary(message.data),)
            if message.type is WSMsgType.ERROR:
                self._theirs = getattr(message.data, "code", reasons.LOST)
            if message.type not in (WSMsgType.PING, WSMsgType.PONG):
                return None

    # ---- the end -------------------------------------------------------------------------------------------------------
    def _end(self, code: int) -> bool:
        """It is closed, with `code`; False: it was already."""
        if self._code is not None:
            return False
        self._code = code
        self._sockets.ended(self)
        self._ring()
        return True

    def _check_open(self) -> None:
        if self._code is not None:
            raise self._closed()

    def _closed(self) -> Closed:
        code = self._code or reasons.LOST
        return Closed(f"websocket {self.id} is closed ({code}): nothing more can be sent", close_code=code)

    def _check_room(self, size: int) -> None:
        """Raises Closed, and cuts the connection, when too much would wait for a slow reader."""
        behind = self._waiting + self._connection.unsent
        limit = self._sockets.write_buffer
        if limit is not None and behind and behind + size > limit:
            text = "websocket %s cut: %d bytes wait for it, and [limits] write_buffer = %d"
            self._sockets.env.log.warning(text, self.id, behind, limit)
            self._end(reasons.LOST)
            self._connection.abort()
            raise self._closed()

    # ---- waiting -----------------------------------------------------------------------------------------------------
    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _ring(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Guard:
    """Stands in front of aiohttp's parser. `arrived` False: what comes is not for it."""

    def __init__(self, parser: Any, arrived: Callable[[bytes], bool]) -> None:
        self._parser, self._arrived = parser, arrived

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Bytes came."""
        if not self._arrived(data):
            return False, b""
        found: tuple[bool, bytes] = self._parser.feed_data(data)
        return found

    def feed_eof(self) -> None:
        """The peer will send nothing more."""
        self._parser.feed_eof()
