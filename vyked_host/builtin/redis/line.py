"""One open connection, both ways at once: commands go out as they come, replies come back in the order of the commands,
pushed messages in between. Everything a loop turn has to say goes out in one write. redis-py dials and logs in; from then on its transport
is ours, and what comes is handled in the turn of the loop in which it was read.

The line watches itself, for redis-py does not: its health check sends a PING and never looks whether it was answered.
Nothing heard for `timing.pong` seconds while an answer is due, and the line is cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, ResponseError

from ...contracts import Environment
from .replies import NOTHING, Replies
from .server import Server
from .wire import CLOSED, ELSEWHERE, FAILURES, Wire, Word, cut, hang_up, packed, taken_over

PING = b"vyked"
MESSAGES_A_TURN = 32
"""Pushed messages handled before others get their turn of the loop. Replies are as many as were waited for."""
ON_ITS_WAY = 256 << 10
"""Bytes that the socket has not taken, beyond which who has more to say waits."""
UNHANDLED = 256 << 10
"""Bytes that have come and wait for their turn, beyond which the socket is not read."""
LOOKS = 4
"""How often within `timing.pong` the line looks at itself."""


class Expected(Protocol):
    """Who waits for the reply to a command. One of the two is called, once."""

    def answered(self, reply: object) -> None:
        """The reply; an exception where the server refused."""

    def lost(self, cause: str) -> None:
        """The line broke: whether the server has done it is not known."""


class _Pong:
    """Nobody waits for a PONG: that something came is all it has to say."""

    def answered(self, reply: object) -> None: ...

    def lost(self, cause: str) -> None: ...


Command = tuple[tuple[Word, ...], Expected]
_PING: Command = (("PING", PING), _Pong())


class Line(asyncio.Protocol):
    """`take` gives what is to be sent now, as often as it has something; `heard` takes pushed messages."""

    def __init__(
        self, wire: Wire, server: Server, env: Environment, take: Callable[[], Sequence[Command]],
        heard: Callable[[bytes, bytes], None],
    ) -> None:  # fmt: skip
        self._wire, self._server, self._take, self._heard = wire, server, take, heard
        self._now, self._at, self._timing = env.clock.now, env.clock.at, env.timing
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._replies = Replies()
        self._due: deque[tuple[float, Expected]] = deque()
        self._heard_at = self._pinged_at = self._looked_at = self._now()
        self._cause = ""
        self._most_due = 0  # at once, since nothing was due
        self._is_woken = self._is_full = self._is_behind = self._ping = False
        self._forget_look: Callable[[], None] = _nothing

    async def run(self) -> str:
        """Serve until the connection breaks; the answer says why. Cancelled: it is closed."""
        try:
            self._transport = taken_over(self._wire, self)
            self._transport.set_write_buffer_limits(high=ON_ITS_WAY)
            self._look()
            self.wake()
            await self._over
        except FAILURES as error:
            self._cause = self._cause or self._server.words(error)
        finally:
            self._cause = self._cause or f"{self._server.place}: closed by this host"
            self._forget_look()
            await hang_up(self._wire)
            self._lose()
        return self._cause

    # ---- out ---------------------------------------------------------------------------------------------------------
    def wake(self) -> None:
        """There is something to take. It goes out with all the rest of this turn of the loop."""
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon(self._send)

    def hurry(self) -> None:
        """The same; but it goes out at once where nothing is under way, nor lately was several at once: nobody comes who could share the
        write, and the end of the turn is one more look at all sockets away."""
        if self._is_woken:
            return
        if self._due or self._most_due > 1:
            self.wake()
        else:
            self._send()

    def _send(self) -> None:
        self._is_woken = False
        transport = self._transport
        if transport is None or self._cause or transport.is_closing():
            return
        while not self._is_full and (commands := self._commands()):
            now, due = self._now(), self._due
            if not due:
                self._most_due = 0
            due.extend([(now, expected) for _, expected in commands])
            self._most_due = max(self._most_due, len(due))
            transport.write(b"".join([packed(words) for words, _ in commands]))

    def _commands(self) -> Sequence[Command]:
        taken = self._take()
        if self._ping:
            self._ping = False
            return [*taken, _PING]
        return taken

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        """The next bytes."""
        self._replies.feed(data)
        if not self._is_behind:
            self._handle_all()
        elif self._transport is not None and self._replies.kept > UNHANDLED:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The socket does not take what there is."""
        self._is_full = True

    def resume_writing(self) -> None:
        """It does again."""
        self._is_full = False
        self.wake()

    def eof_received(self) -> None:
        """The server has closed its end."""
        self._end(NoConnection(CLOSED))

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        self._end(error or NoConnection(CLOSED))

    def _end(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            self._over.exception()  # where nobody waits any more, it was closed

    # ---- in ----------------------------------------------------------------------------------------------------------
    def _handle_all(self) -> None:
        """All that is whole, or as much as a turn of the loop is for."""
        self._heard_at, pushed = self._now(), 0
        was_behind, self._is_behind = self._is_behind, False
        try:
            while (reply := self._replies.next()) is not NOTHING and not self._cause:
                if self._handle(reply):
                    pushed += 1
                    if pushed == MESSAGES_A_TURN:
                        self._is_behind = True  # handlers need their turn
                        self._loop.call_soon(self._handle_all)
                        return
        except Exception as error:  # noqa: BLE001 - it is told by who runs this
            self._end(error)
        if was_behind and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _handle(self, reply: Any) -> bool:
        """Was it pushed?"""
        if type(reply) is list:
            match reply:
                case [b"message" | b"smessage", bytes() as channel, bytes() as payload]:
                    self._heard(channel, payload)
                    return True
        elif isinstance(reply, RedisError) and not isinstance(reply, ResponseError):
            raise reply  # about this connection, not about a command
        if self._due:
            self._due.popleft()[1].answered(reply)
        if isinstance(reply, ELSEWHERE):
            self._break(f"{self._server.place}: another server has to be asked: {reply}")
        return False

    def leave(self, cause: str) -> None:
        """End it, for this reason; the next one is dialled anew."""
        self._break(cause)

    # ---- watch -------------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        if self._cause:  # it ended while this look was about to be taken
            return
        now = self._now()
        step = min(self._timing.pong, self._timing.ping) / LOOKS
        # late by much: this loop was blocked, so an answer may lie unread. Judged at the next look
        late = now - self._looked_at > 2 * step
        self._looked_at = now
        if not late and self._due and max(self._due[0][0], self._heard_at) + self._timing.pong <= now:
            self._break(f"{self._server.place} did not answer within {self._timing.pong:g} s")
            return
        if now - self._pinged_at >= self._timing.ping:
            self._pinged_at, self._ping = now, True
            self.wake()
        self._forget_look = self._at(now + step, self._look)

    def _break(self, cause: str) -> None:
        self._cause = self._cause or cause
        cut(self._wire)
        self._end(NoConnection(cause))

    def _lose(self) -> None:
        due, self._due = self._due, deque()
        for _, expected in due:
            expected.lost(self._cause)


def _nothing() -> None:
    """There is no look to forget."""
