"""What is said of events and asked about groups: whoever waits for the answer is told within the ack wait, also while the server is away.
After that time an event comes again anyway, to this instance or another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ....contracts import Clock
from ....errors import Unavailable
from ....routing.patience import Patience
from ..errands import Errands
from ..script import Script
from ..wire import Word


class Bounded:
    """`errands` whose answers come in time. `why` says why none came: that there is no connection, say. Questions that have not gone out by
    then are forgotten; what is said of an event is said when the server is back, which knows whether it means something still."""

    def __init__(self, errands: Errands, clock: Clock, ack_wait_s: float, why: Callable[[], str]) -> None:
        self._errands, self._ack_wait_s, self._why = errands, ack_wait_s, why
        self._patience = Patience[asyncio.Future[Any]](clock.now, clock.expire, ack_wait_s, self._expired)

    def ask(self, *words: Word) -> asyncio.Future[Any]:
        """One question. Awaiting raises what the server says, and Unavailable."""
        return self._watched(self._errands.ask(*words))

    def run(self, script: Script, keys: Sequence[str], *arguments: Word) -> asyncio.Future[Any]:
        """One question that is a script."""
        return self._watched(self._errands.run(script, keys, *arguments))

    def say(self, script: Script, keys: Sequence[str], *arguments: Word) -> asyncio.Future[Any]:
        """What became of an event."""
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._errands.run(script, keys, *arguments).add_done_callback(partial(_passed_on, told))
        return self._watched(told)

    def ack(self, stream: str, group: str, entry: str) -> asyncio.Future[int]:
        """Acknowledge an entry."""
        return self._watched(self._errands.ack(stream, group, entry))

    def close(self) -> None:
        """Errands are closed, which tell everybody."""
        self._patience.close()

    def _watched(self, reply: asyncio.Future[Any]) -> asyncio.Future[Any]:
        self._patience.watch(reply)
        return reply

    def _expired(self, late: list[asyncio.Future[Any]]) -> None:
        text = (
            f"{self._why()}, for longer than ack_wait, {self._ack_wait_s:g} s: whether it was done is not known. An event that was not "
            "settled comes again; look whether the server is up, or overloaded"
        )
        for reply in late:
            reply.set_exception(Unavailable(text, executed="unknown"))
            reply.exception()  # whoever does not await it hears of no failure


def _passed_on(told: asyncio.Future[Any], reply: asyncio.Future[Any]) -> None:
    error = None if reply.cancelled() else reply.exception()
    if told.done():
        return
    if reply.cancelled():
        told.cancel()
    elif error is not None:
        told.set_exception(error)
    else:
        told.set_result(reply.result())
