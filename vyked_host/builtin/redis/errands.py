"""Short commands of one host: settle, make a group, trim, renew a lease. They go over a connection of their own, never behind a
read that waits for events. Each may be done twice: what was not answered before its connection broke is sent again over the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import NoScriptError

from ...errors import Unavailable
from .line import Command
from .script import Script
from .wire import ELSEWHERE, Word

A_WRITE = 512
"""Commands of one write: beyond them others get their turn."""


class _Errand:
    """One command, from ask() to its reply."""

    __slots__ = ("_errands", "_text", "reply", "words")

    def __init__(self, errands: Errands, words: tuple[Word, ...], text: str | None = None) -> None:
        self._errands, self.words, self._text = errands, words, text
        self.reply: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def answered(self, reply: object) -> None:
        """What the server said; a script that it has forgotten is sent whole."""
        if isinstance(reply, NoScriptError) and self._text is not None:
            self.words, self._text = ("EVAL", self._text, *self.words[2:]), None
            self._errands.put(self)
        elif isinstance(reply, ELSEWHERE):
            self.lost("")
        elif self.reply.done():
            return
        elif isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)

    def lost(self, _cause: str) -> None:
        """Not answered: once more."""
        self._errands.put(self)


class _Acks:
    """The acks of one turn of the loop in one stream and group, as one command."""

    __slots__ = ("_errands", "_ids", "_told", "_where")

    def __init__(self, errands: Errands, where: tuple[str, str], acks: dict[str, asyncio.Future[int]]) -> None:
        self._errands, self._where = errands, where
        self._ids, self._told = list(acks), list(acks.values())

    @property
    def words(self) -> tuple[Word, ...]:
        """XACK of all."""
        return ("XACK", *self._where, *self._ids)

    def answered(self, reply: object) -> None:
        """How many were still pending; fewer than all: some came too late for that."""
        if isinstance(reply, ELSEWHERE):
            self.lost("")
            return
        for told in self._told:
            if told.done():
                continue
            if isinstance(reply, int):
                told.set_result(reply - len(self._ids))
            else:
                told.set_exception(reply if isinstance(reply, Exception) else Unavailable("no answer to XACK"))

    def lost(self, _cause: str) -> None:
        """Not answered: once more."""
        for entry, told in zip(self._ids, self._told, strict=True):
            self._errands.acks.setdefault(self._where, {})[entry] = told
        self._errands.wake()


class Errands:
    """`wake_line` is called when there is something to take; `over` is what those are told who ask when it is closed."""

    def __init__(
        self, wake_line: Callable[[], None], over: str = "the bus is closed: events that were not settled come again"
    ) -> None:
        self.wake, self._over = wake_line, over
        self._waiting: deque[_Errand] = deque()
        self._told: set[str] = set()  # digests of scripts that went out whole
        self.acks: dict[tuple[str, str], dict[str, asyncio.Future[int]]] = {}
        self._open: set[asyncio.Future[Any]] = set()
        self._closed = False

    # ---- asking ----------------------------------------------------------------------------------------------------------
    def ask(self, *words: Word) -> asyncio.Future[object]:
        """One command. Awaiting raises what the server says, or Unavailable when the bus is closed."""
        return self._begun(_Errand(self, words))

    def run(self, script: Script, keys: Sequence[str], *arguments: Word) -> asyncio.Future[object]:
        """One script. It goes out whole the first time: one that the server has to ask for would come after what was asked later."""
        if script.digest in self._told:
            return self._begun(
                _Errand(self, ("EVALSHA", script.digest, str(len(keys)), *keys, *arguments), script.text)
            )
        self._told.add(script.digest)
        return self._begun(_Errand(self, ("EVAL", script.text, str(len(keys)), *keys, *arguments)))

    def ack(self, stream: str, group: str, entry: str) -> asyncio.Future[int]:
        """Acknowledge an entry. 0: it and all that went in the same command were pending; below: so many were not."""
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._closed:
            told.set_exception(self._over_now())
            return told
        self.acks.setdefault((stream, group), {})[entry] = told
        self.wake()
        return told

    def _begun(self, errand: _Errand) -> asyncio.Future[object]:
        if self._closed:
            errand.reply.set_exception(self._over_now())
            return errand.reply
        self._open.add(errand.reply)
        errand.reply.add_done_callback(self._open.discard)
        self.put(errand)
        return errand.reply

    def put(self, errand: _Errand) -> None:
        """It goes out with the next write, unless nobody waits for it any more."""
        if not errand.reply.done():
            self._waiting.append(errand)
            self.wake()

    # ---- the connection --------------------------------------------------------------------------------------------------
    def take(self) -> Sequence[Command]:
        """What goes out in the next write."""
        commands: list[Command] = []
        if self.acks:
            taken, self.acks = self.acks, {}
            batches = [_Acks(self, where, acks) for where, acks in taken.items()]
            commands += [(batch.words, batch) for batch in batches]
        while self._waiting and len(commands) < A_WRITE:
            errand = self._waiting.popleft()
            if not errand.reply.done():
                commands.append((errand.words, errand))
        return commands

    # ---- the end ---------------------------------------------------------------------------------------------------------
    async def flush(self, within: float) -> None:
        """Wait until everything is answered."""
        waited = self._all()
        if waited:
            await asyncio.wait(waited, timeout=within)

    def _all(self) -> set[asyncio.Future[Any]]:
        acks: list[asyncio.Future[Any]] = [told for acks in self.acks.values() for told in acks.values()]
        return {*self._open, *acks}

    def close(self) -> None:
        """Whoever waits still is told that it will not be answered."""
        self._closed = True
        for told in self._all():
            if not told.done():
                told.set_exception(self._over_now())
                told.exception()  # whoever does not look has gone: the event comes again

    def _over_now(self) -> Unavailable:
        return Unavailable(self._over, executed="unknown")
