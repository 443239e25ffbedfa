"""Calls that wait for their answers: one table for all clients of a host, bounded, looked through every 50 ms for the ones
whose time is over. What is answered, cancelled or late leaves it at once: nothing stays behind (Vyked 2.x: defect 24).
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from ..errors import Overloaded
from .clock import Sweep


class Expiring(Protocol):
    """Something that waits until a deadline (monotonic seconds)."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""


class Pending:
    """The table of one host."""

    def __init__(self, *, limit: int | None) -> None:
        self.limit = math.inf if limit is None else limit
        """So many may wait."""
        self.room = 0.0
        """When so many wait, who comes asks to `make_room`: at the limit, or before the sweep has begun."""
        self._loop = asyncio.get_running_loop()
        self._sweep = Sweep(self._loop, self._loop.time, self._look)
        self.waiting: dict[Expiring, None] = {}
        """Who is watched over. Whoever waits no longer is taken out."""

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, waiting: Expiring) -> None:
        """Watch over `waiting`. Raises Overloaded (`not_sent`) at the limit."""
        if len(self.waiting) >= self.room:
            self.make_room()
        self.waiting[waiting] = None

    def make_room(self) -> None:
        """Begin the sweep. Raises Overloaded (`not_sent`) at the limit."""
        if len(self.waiting) >= self.limit:
            text = f"{self.limit} calls already wait for answers in this host ([limits] pending)"
            raise Overloaded(text, executed="not_sent")
        self._begin()

    def keep(self, waiting: Expiring) -> None:
        """Watch over `waiting`, which has been let in before it was to wait."""
        if self.room == 0.0:
            self._begin()
        self.waiting[waiting] = None

    def _begin(self) -> None:
        self.room = self.limit
        self._sweep.begin()

    def _look(self, now: float) -> bool:
        for each in [each for each in self.waiting if each.deadline <= now]:
            self.waiting.pop(each, None)
            self._loop.call_soon(each.expire)  # by itself: the failure of one is not the others'
        if not self.waiting:
            self.room = 0.0
        return bool(self.waiting)
