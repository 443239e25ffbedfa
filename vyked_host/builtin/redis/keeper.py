"""Keeps one line to the server: dials, serves, and dials again with backoff, from the first use until it is closed. A
loss is logged once, and so is the return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...contracts import Environment
from ...routing.backoff import Backoff
from .faults import Unreachable

if TYPE_CHECKING:  # it keeps what it is given, and knows nothing of redis-py
    from .line import Line
    from .server import Server
    from .wire import Wire

FIRST_S = 0.1
FACTOR = 1.6


class Keeper:
    """`line` is None while there is none, and `away` says why, `todo` what to do about it. `joined` and `left` are told of each line's begin and end;
    `most_s` is the longest wait, None: `timing.ping`."""

    def __init__(
        self, what: str, server: Server, env: Environment, line: Callable[[Wire], Line], *,
        joined: Callable[[], None], left: Callable[[str], None], most_s: float | None = None,
    ) -> None:  # fmt: skip
        self._what, self._server, self._env, self._line = what, server, env, line
        self._joined, self._left = joined, left
        # no wait is longer than a quiet line needs to be found dead: the two together bound every recovery
        self._backoff = Backoff(first=FIRST_S, most=max(FIRST_S, most_s or env.timing.ping), factor=FACTOR)
        self._cancel: Callable[[], None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self.line: Line | None = None
        self.away, self.todo = f"{server.place}: not connected yet", Unreachable.todo
        self.reconnections = 0

    def begin(self) -> None:
        """From now on there shall be a line. Idempotent."""
        if self._cancel is None:
            self._cancel = self._env.tasks(self._keep(), f"redis: {self._what}")

    def wake(self) -> None:
        """There is something to send."""
        self.begin()
        if self.line is not None:
            self.line.wake()

    def hurry(self) -> None:
        """The same, at once where it would go alone."""
        if self.line is not None:
            self.line.hurry()
        else:
            self.begin()

    def renew(self, cause: str) -> None:
        """Another server may have to be asked, for this reason: end the line there is."""
        if self.line is not None:
            self.line.leave(cause)

    async def aclose(self) -> None:
        """No line from now on. Idempotent."""
        if self._cancel is not None:
            self._cancel()
        if self._ended is not None:
            await self._ended

    async def _keep(self) -> None:
        # made here, not in begin(): a task that is cancelled before its first step never gets to the `finally`
        ended = self._ended = asyncio.get_running_loop().create_future()
        try:
            failures = 0
            while True:
                began = self._env.clock.now()
                self.away = await self._serve()
                # one that breaks as soon as it is open is as good as none: the waits grow all the same
                failures = 0 if self._env.clock.now() - began > self._backoff.most else failures + 1
                await asyncio.sleep(self._backoff.delay(max(failures - 1, 0), self._env.rng.random()))
        finally:
            ended.set_result(None)

    async def _serve(self) -> str:
        """One line from dialling to its end; the answer says why it ended."""
        try:
            wire = await self._server.dial(self._env.timing.dial)
        except Unreachable as error:
            self.todo = error.todo
            self._tell(str(error))
            return str(error)
        self.line, self.todo = self._line(wire), Unreachable.todo
        self._back()
        self._joined()
        cause = f"{self._server.place}: closed by this host"
        try:
            cause = await self.line.run()
        finally:
            self.line = None
            self._left(cause)
        self._tell(cause)
        return cause

    _told = False
    _was_there = False

    def _tell(self, cause: str) -> None:
        if not self._told:
            self._told = True
            self._env.log.warning("%s: no connection; trying again: %s", self._what, cause)

    def _back(self) -> None:
        self.reconnections += self._was_there
        if self._told:
            self._env.log.info("%s: connected to %s again", self._what, self._server.place)
        self._told, self._was_there = False, True
