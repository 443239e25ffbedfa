"""One hub for several nodes of one process, without sockets: who asks first holds it for good, its terms can be ended, and a node
can be made mute. What a registry or bus makes of these is the same as over sockets, and takes no time.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..contracts import Desk, Hub, Term
from ..runtime.terms import opened

S = TypeVar("S")


class SharedHub:
    """The hub. `seat(node_id)` is one node's way to it."""

    def __init__(self) -> None:
        self._holder: Seat | None = None
        self._desks: dict[type, Desk] = {}
        self._over: asyncio.Future[str] | None = None
        self._opening = asyncio.Lock()

    def seat(self, node_id: str) -> Seat:
        """`contracts.Hub` of one node."""
        return Seat(self, node_id)

    async def term(self, seat: Seat) -> SeatTerm:
        """The term that runs, or the next one."""
        async with self._opening:
            if self._over is None or self._over.done():
                self._holder = self._holder or seat
                self._desks = await opened(self._holder.offers)
                self._over = asyncio.get_running_loop().create_future()
        assert self._holder is not None
        return SeatTerm(seat, self._holder.node_id, self._desks, self._over)

    async def end(self) -> None:
        """The term ends, and what its desks kept is gone: the holder begins anew, with nothing. Idempotent."""
        if self._over is None or self._over.done():
            return
        self._over.set_result("the holder is gone")
        for desk in self._desks.values():
            await desk.close(None)


class Seat(Hub):
    """One node's way to a shared hub. `mute`: what it asks is never answered, and its open streams are not ended."""

    def __init__(self, hub: SharedHub, node_id: str) -> None:
        self._hub, self.node_id = hub, node_id
        self.offers: dict[type, Callable[[], Desk]] = {}
        self.mute = False

    def offer(self, contract: type, make: Callable[[], Desk], /) -> None:
        """Serve `make()` whenever this node holds the hub."""
        self.offers[contract] = make

    async def term(self) -> SeatTerm:
        """The term that runs now."""
        return await self._hub.term(self)


class SeatTerm(Term):
    """A term as one node sees it."""

    def __init__(self, seat: Seat, holder: str, desks: dict[type, Desk], over: asyncio.Future[str]) -> None:
        self.node_id, self.is_here, self.over = holder, holder == seat.node_id, over
        self._seat, self._desks = seat, desks

    def desk(self, contract: type[S], /) -> S:
        """The desk's methods, through what makes the node mute."""
        return cast(S, Line(self._seat, self._desks[contract]))


class Line:
    """Stands before a desk."""

    def __init__(self, seat: Seat, desk: Desk) -> None:
        self._seat, self._desk = seat, desk

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._desk, name)

        def call(*arguments: Any) -> Any:
            answer = method(*arguments)
            return self._answered(answer) if inspect.isawaitable(answer) else answer

        return call

    async def _answered(self, answer: Any) -> Any:
        if self._seat.mute:
            answer.close()
            await asyncio.get_running_loop().create_future()
        return await answer
