"""A connection that waits at the server for events: one command at a time, the next when the last is answered. No wait is longer
than the connection's own watch allows silence, so a server that hangs is found as on any other line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redis.exceptions import NoScriptError

from ....contracts import Environment
from ..keeper import Keeper
from ..line import Command, Line
from ..script import Script
from ..server import Server
from ..wire import Wire, Word

PATIENCE = 0.5
"""Of `timing.pong`, that a read may wait."""
AFTER_ERROR_S = 1.0


class Reader:
    """`command` gives what to ask next, None: nothing; `got` takes each reply; `refused` each error, after which it is quiet for
    a second; `joined` is told of each new connection. `scripts` are known to the server before anything is asked."""

    def __init__(
        self, what: str, server: Server, env: Environment, *, command: Callable[[], tuple[Word, ...] | None],
        got: Callable[[object], None], refused: Callable[[Exception], None], joined: Callable[[], None],
        scripts: Sequence[Script] = (),
    ) -> None:  # fmt: skip
        self._server, self._env, self._scripts = server, env, scripts
        self._command, self._got, self._refused, self._told = command, got, refused, joined
        self._keeper = Keeper(what, server, env, self._line, joined=self._joined, left=self._left)
        self._asked = self._resting = False
        self._to_load: list[Script] = []
        self._id: int | None = None
        self._forget_rest: Callable[[], None] = _nothing

    def _line(self, wire: Wire) -> Line:
        return Line(wire, self._server, self._env, self._take, _ignore)

    @property
    def client(self) -> int | None:
        """The number of this connection at the server, while it waits there."""
        return self._id if self._asked else None

    def wake(self) -> None:
        """There may be something to ask."""
        self._keeper.wake()

    async def aclose(self) -> None:
        """End the connection. Idempotent."""
        self._forget_rest()
        await self._keeper.aclose()

    # ---- one command after the other -------------------------------------------------------------------------------------
    def _joined(self) -> None:
        self._asked, self._id, self._to_load = False, None, list(self._scripts)
        self._told()

    def _left(self, _cause: str) -> None:
        self._asked = False

    def _take(self) -> Sequence[Command]:
        if self._asked or self._resting:
            return ()
        first: list[Command] = [(("SCRIPT", "LOAD", script.text), _Ignored()) for script in self._to_load]
        self._to_load = []
        if self._id is None:
            self._id = 0
            first.append((("CLIENT", "ID"), _Number(self)))
        words = self._command()
        if words is None:
            return first
        self._asked = True
        return [*first, (words, self)]

    def answered(self, reply: object) -> None:
        """The reply to the one command that was asked."""
        self._asked = False
        if isinstance(reply, NoScriptError):
            self._to_load = list(self._scripts)
        elif isinstance(reply, Exception):
            self._rest()
            self._refused(reply)
        else:
            self._got(reply)
        self.wake()

    def lost(self, _cause: str) -> None:
        """The connection broke; `joined` follows."""

    def numbered(self, number: int) -> None:
        """The number of this connection."""
        self._id = number

    def _rest(self) -> None:
        self._resting = True
        self._forget_rest = self._env.clock.at(self._env.clock.now() + AFTER_ERROR_S, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self.wake()


class _Number:
    """Takes the number of a connection."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def answered(self, reply: object) -> None:
        if isinstance(reply, int):  # a user without +client|id: reads end by themselves, only later
            self._reader.numbered(reply)

    def lost(self, cause: str) -> None: ...


class _Ignored:
    """Nobody waits for the digest of a script: it is known."""

    def answered(self, reply: object) -> None: ...

    def lost(self, cause: str) -> None: ...


def _ignore(_channel: bytes, _payload: bytes) -> None:
    """Nothing is pushed here."""


def _nothing() -> None:
    """There is no rest to forget."""
