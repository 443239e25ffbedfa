"""The sink of one call that came over HTTP: what the runtime says, waited for by the task of the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ...contracts import INITIAL_CREDIT, Call, Fault


class Exchange:
    """Outcome and items of one call. `body` and `fault` hold once `ended`; items wait in order until they are taken."""

    __slots__ = ("_items", "_room", "_waiters", "body", "ended", "fault", "sendable")

    def __init__(self) -> None:
        self.ended = False
        self.body: Any = None
        self.fault: Fault | None = None
        self.sendable = INITIAL_CREDIT
        self._room = INITIAL_CREDIT
        self._items: list[Any] = []
        self._waiters: list[asyncio.Future[None]] = []

    # ---- contracts.CreditSink --------------------------------------------------------------------------------------
    def respond(self, call: Call, body: Any) -> None:
        """The call succeeded."""
        self.body, self.ended = body, True
        if self._waiters:
            self._wake()

    def fail(self, call: Call, fault: Fault) -> None:
        """The call failed."""
        self.fault, self.ended = fault, True
        if self._waiters:
            self._wake()

    def item(self, call: Call, body: Any) -> bool:
        """One item of the answer; False: that was the last one until these are written."""
        self._items.append(body)
        self._room -= 1
        self._wake()
        return self._room > 0

    def credit(self, call: Call, items: int) -> None:
        """The handler takes `items` more of the request's stream."""
        self.sendable += items
        self._wake()

    # ---- the task of the request -----------------------------------------------------------------------------------
    async def outcome(self) -> None:
        """Wait for the end."""
        while not self.ended:
            await self._changed()

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready`, asked again at each `nudge`, or the end."""
        while not self.ended and not ready():
            await self._changed()

    def nudge(self) -> None:
        """Something that `until` waits for may have happened."""
        self._wake()

    async def batch(self) -> list[Any]:
        """The items that are there, at least one; empty: the stream has ended."""
        while not self._items and not self.ended:
            await self._changed()
        found, self._items = self._items, []
        return found

    def written(self, items: int) -> None:
        """`items` left for the client: there is room for as many more."""
        self._room += items

    async def room(self) -> bool:
        """Wait until the handler takes one more item of the request's stream; False: it takes none any more."""
        while self.sendable == 0 and not self.ended:
            await self._changed()
        self.sendable -= 1
        return not self.ended

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
