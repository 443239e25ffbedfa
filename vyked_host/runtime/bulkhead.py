"""Of the calls of one client only so many run at once, and only so many wait, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque

from ..contracts import Clock
from ..errors import DeadlineExceeded, Overloaded


class Bulkhead:
    """`in_flight` calls run, `pending` wait. `name`: the service that is called."""

    def __init__(self, in_flight: int, pending: int, clock: Clock, name: str) -> None:
        self._in_flight, self._pending, self._now, self._name = in_flight, pending, clock.now, name
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_free(self) -> bool:
        """Need a call that comes now not wait?"""
        return self._running < self._in_flight

    def enter(self) -> None:
        """One more runs, where it `is_free`."""
        self._running += 1

    async def wait(self, deadline: float) -> None:
        """Wait for a place, which is taken then. Raises Overloaded at once where enough wait already, DeadlineExceeded when there is
        none in time; both `not_sent`."""
        if len(self._waiting) >= self._pending:
            text = f"{self._in_flight} calls of {self._name} run and {self._pending} wait ([clients] bulkhead)"
            raise Overloaded(text, service=self._name, executed="not_sent")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(max(0.0, deadline - self._now())):
                await place
        except BaseException as error:
            self._give_back(place)
            if isinstance(error, TimeoutError):
                text = f"{self._name}: no place among {self._in_flight} calls within the deadline ([clients] bulkhead)"
                raise DeadlineExceeded(text, service=self._name, executed="not_sent") from None
            raise

    def leave(self) -> None:
        """A call ended: the one that waits longest gets its place."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._running -= 1

    def _give_back(self, place: asyncio.Future[None]) -> None:
        if place.done() and not place.cancelled():  # it came in the very turn in which nobody wanted it any more
            self.leave()
        else:
            place.cancel()
            if place in self._waiting:
                self._waiting.remove(place)
