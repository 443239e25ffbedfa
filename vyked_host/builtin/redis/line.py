"""One open connection, both ways at once: commands go out as they come, replies come back in the order of the commands,
pushed messages in between. Everything a loop turn has to say goes out in one write.

The line watches itself, for redis-py does not: its health check sends a PING and never looks whether it was answered.
Nothing heard for `timing.pong` seconds while an answer is due, and the line is cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from redis.exceptions import ResponseError

from ...contracts import Environment
from .server import Server
from .wire import ELSEWHERE, FAILURES, Wire, Word, cut, hang_up

PING = b"vyked"
MESSAGES_A_TURN = 32
"""Replies handled before others get their turn of the loop."""
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


class Line:
    """`take` gives what is to be sent now, as often as it has something; `heard` takes pushed messages."""

    def __init__(
        self, wire: Wire, server: Server, env: Environment, take: Callable[[], Sequence[Command]],
        heard: Callable[[bytes, bytes], None],
    ) -> None:  # fmt: skip
        self._wire, self._server, self._take, self._heard = wire, server, take, heard
        self._clock, self._tasks, self._timing = env.clock, env.tasks, env.timing
        self._due: deque[tuple[float, Expected]] = deque()
        self._heard_at = self._pinged_at = self._looked_at = self._clock.now()
        self._cause = ""
        self._sending = self._ping = False
        self._forget_look: Callable[[], None] = _nothing

    async def run(self) -> str:
        """Serve until the connection breaks; the answer says why. Cancelled: it is closed."""
        try:
            self._look()
            self.wake()
            await self._read()
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
        if not self._sending and not self._cause:
            self._sending = True
            self._tasks(self._send(), "redis: send")

    async def _send(self) -> None:
        try:
            while not self._cause and (commands := self._commands()):
                now = self._clock.now()
                self._due.extend((now, expected) for _, expected in commands)
                await self._wire.send_packed_command(self._wire.pack_commands([words for words, _ in commands]))
        except FAILURES as error:
            self._break(self._server.words(error))
        finally:
            self._sending = False

    def _commands(self) -> Sequence[Command]:
        taken = self._take()
        if self._ping:
            self._ping = False
            return [*taken, _PING]
        return taken

    # ---- in ----------------------------------------------------------------------------------------------------------
    async def _read(self) -> None:
        handled = 0
        while True:
            try:
                reply: Any = await self._wire.read_response(disable_decoding=True, disconnect_on_error=False)
            except ResponseError as refused:
                reply = refused
            self._heard_at = self._clock.now()
            self._handle(reply)
            handled += 1
            if handled % MESSAGES_A_TURN == 0:
                await asyncio.sleep(0)  # what is buffered is read without waiting: handlers need their turn

    def _handle(self, reply: Any) -> None:
        match reply:
            case [b"message" | b"smessage", bytes() as channel, bytes() as payload]:
                self._heard(channel, payload)
            case _ if self._due:
                self._due.popleft()[1].answered(reply)
        if isinstance(reply, ELSEWHERE):
            self._break(f"{self._server.place}: another server has to be asked: {reply}")

    def leave(self, cause: str) -> None:
        """End it, for this reason; the next one is dialled anew."""
        self._break(cause)

    # ---- watch -------------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        if self._cause:  # it ended while this look was about to be taken
            return
        now = self._clock.now()
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
        self._forget_look = self._clock.at(now + step, self._look)

    def _break(self, cause: str) -> None:
        """Whatever reads or writes now is told by the connection itself."""
        self._cause = self._cause or cause
        cut(self._wire)

    def _lose(self) -> None:
        due, self._due = self._due, deque()
        for _, expected in due:
            expected.lost(self._cause)


def _nothing() -> None:
    """There is no look to forget."""
