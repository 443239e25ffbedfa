"""Calls that wait for their answers: one table for all clients of a host, bounded, looked through every 50 ms for the ones
whose time is over. What is answered, cancelled or late leaves it at once: nothing stays behind (Vyked 2.x: defect 24).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from ..errors import Overloaded
from .clock import SWEEP_S


class Expiring(Protocol):
    """Something that waits until a deadline (monotonic seconds)."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""


class Pending:
    """The table of one host."""

    def __init__(self, *, limit: int | None) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Expiring, None] = {}
        self._sweeping = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Expiring) -> None:
        """Watch over `waiting`. Raises Overloaded (`not_sent`) at the limit."""
        if self._limit is not None and len(self._waiting) >= self._limit:
            text = f"{self._limit} calls already wait for answers in this host ([limits] pending)"
            raise Overloaded(text, executed="not_sent")
        self._waiting[waiting] = None
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(SWEEP_S, self._sweep)

    def discard(self, waiting: Expiring) -> None:
        """It waits no longer."""
        self._waiting.pop(waiting, None)

    def _sweep(self) -> None:
        now = self._loop.time()
        for each in [each for each in self._waiting if each.deadline <= now]:
            self._waiting.pop(each, None)
            self._loop.call_soon(each.expire)  # by itself: the failure of one is not the others'
        self._sweeping = bool(self._waiting)
        if self._sweeping:
            self._loop.call_later(SWEEP_S, self._sweep)
