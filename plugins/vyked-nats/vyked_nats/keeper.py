"""Keeps one line to a server: dials, serves, and dials again with backoff, from the first use until it is closed. A loss is
logged once, and so is the return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vyked_host.contracts import Backoff, Environment

from .connection import Connection, Watch
from .line import Line
from .server import Servers, Unreachable, hang_up

FIRST_S = 0.1
FACTOR = 1.6
CANCELLED_AGAIN_S = 0.1


class Keeper:
    """`line` is None while there is none, and `away` says why, `todo` what to do about it. `joined` and `left` are told of each line's begin and end, `told`
    of each error that the server reports meanwhile. `most_s`: no wait between two attempts is longer (`timing.ping`)."""

    def __init__(
        self, what: str, servers: Servers, env: Environment, *,
        joined: Callable[[Line], None], left: Callable[[str], None], told: Callable[[str], None],
        most_s: float | None = None,
    ) -> None:  # fmt: skip
        self._what, self._servers, self._env = what, servers, env
        self._joined, self._left, self._told_of = joined, left, told
        most = env.timing.ping if most_s is None else most_s
        self._backoff = Backoff(first=min(FIRST_S, most), most=most, factor=FACTOR)
        self._cancel: Callable[[], None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._is_told = False
        self._last = ""
        self.line: Line | None = None
        self.away, self.todo = f"{servers.place}: not connected yet", Unreachable.todo

    def begin(self) -> None:
        """From now on there shall be a line. Idempotent."""
        if self._cancel is None:
            self._cancel = self._env.tasks(self._keep(), f"nats: {self._what}")

    async def aclose(self) -> None:
        """No line from now on. Idempotent."""
        while self._cancel is not None:
            self._cancel()
            if self._ended is None or self._ended.done():
                return
            # nats-py swallows a cancellation that reaches it at some places of a login: once more, until it is heard
            await asyncio.wait({self._ended}, timeout=CANCELLED_AGAIN_S)

    async def _keep(self) -> None:
        # made here, not in begin(): a task that is cancelled before its first step never gets to the `finally`
        ended = self._ended = asyncio.get_running_loop().create_future()
        try:
            failures = 0
            while True:
                began = self._env.clock.now()
                self.away = await self._serve()
                self._tell(self.away)
                # one that breaks as soon as it is open is as good as none: the waits grow all the same
                failures = 0 if self._env.clock.now() - began > self._backoff.most else failures + 1
                await asyncio.sleep(self._backoff.delay(max(failures - 1, 0), self._env.rng.random()))
        finally:
            ended.set_result(None)

    async def _serve(self) -> str:
        """One line from dialling to its end; the answer says why it ended."""
        self._last, watch = "", _Watch(self._heard, self._retires)
        try:
            connection = await self._servers.dial(self._env.timing.dial, watch)
        except Unreachable as error:
            self.todo = error.todo
            return str(error)
        self.todo = Unreachable.todo
        try:
            return await self._use(connection, watch.over)
        finally:
            await hang_up(connection)

    def _retires(self) -> bool:
        """The server is about to end: it is left, where there is another one."""
        leaves = self._servers.leave()
        if leaves:
            self._last = "the server retires"
        return leaves

    async def _use(self, connection: Connection, over: asyncio.Event) -> str:
        line = Line(connection)
        cause = f"{self._servers.place}: closed by this host"
        try:
            line.begin()
            self.line = line
            self._back()
            self._joined(line)
            await line.run(over, self._env.timing.ping, self._env.timing.pong)
            cause = f"{self._servers.place}: {self._last or self._cause_of(connection)}"
        finally:
            self.line = None
            line.lost(cause)
            self._left(cause)
        return cause

    def _cause_of(self, connection: Connection) -> str:
        if connection.last_error is None:
            return "no answer, or the connection was lost"
        return self._servers.words(connection.last_error)

    def _heard(self, error: Exception) -> None:
        words = self._servers.words(error)
        if self.line is not None:
            self.line.told(words)
        self._told_of(words)

    def _tell(self, cause: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._env.log.warning("%s: no connection; trying again: %s", self._what, cause)

    def _back(self) -> None:
        if self._is_told:
            self._env.log.info("%s: connected to %s again", self._what, self._servers.place)
        self._is_told = False


class _Watch(Watch):
    """Of one connection."""

    def __init__(self, heard: Callable[[Exception], None], leaves: Callable[[], bool]) -> None:
        self._heard, self._leaves = heard, leaves
        self.over = asyncio.Event()

    def told(self, error: Exception) -> None:
        """The server reports an error."""
        self._heard(error)

    def retires(self) -> None:
        """The server is about to end."""
        if self._leaves():
            self.over.set()

    def ended(self) -> None:
        """It is over."""
        self.over.set()
