"""How late the event loop comes to its timers: what blocks it, or is too much for it, makes everything late by as much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from logging import Logger

from .clock import LoopClock

TICK_S = 0.05
LATE_S = 0.1
"""From here on a tick counts as late (RELIABILITY notes, C2, loop lag)."""
SPAN_S = 0.5
"""The worst of so many seconds is what readiness and `ps` show."""
TOLD_EVERY_S = 10.0
BLOCKED_S = 1.0
"""From here on calls that came meanwhile are refused, and the host is not ready."""


class LoopLag:
    """`lag_s` is the worst of the last half second; `late` counts ticks that were late by a tenth of a second or more, a blockage as
    one. `measured` is told each worst; `log` gets a warning every 10 s at most."""

    def __init__(self, measured: Callable[[float], None] | None = None, log: Logger | None = None) -> None:
        self.lag_s = 0.0
        self.late = 0
        self.late_at = float("inf")
        """From then on the loop counts as late; what is asked for each call is this and no more."""
        self._measured, self._log = measured, log
        self.ticked: Callable[[float, float], None] | None = None
        """Told each tick: how late it was, and the time."""
        self._due = float("inf")
        self._worst = self._span_s = 0.0
        self._untold, self._worst_untold, self._told_at = 0, 0.0, float("-inf")

    def behind(self, now: float) -> float:
        """Seconds by which the loop is late at this moment; `now` is its own time. What was read from sockets in the turn that follows
        a blockage is handled before any timer is, so only this tells a handler of it."""
        return max(0.0, now - self._due)

    async def measure(self) -> None:
        """The body of the task that measures."""
        read = LoopClock(asyncio.get_running_loop()).now
        while True:
            self._due = read() + TICK_S
            self.late_at = self._due + LATE_S
            await asyncio.sleep(TICK_S)
            now = read()
            late_s = max(0.0, now - self._due)
            self.tick(late_s, now)
            if self.ticked is not None:
                self.ticked(late_s, now)

    def tick(self, late_s: float, now: float) -> None:
        """A timer came so late."""
        if late_s >= LATE_S:
            self.late += 1
            self._untold, self._worst_untold = self._untold + 1, max(self._worst_untold, late_s)
        self._tell(now)
        self._worst, self._span_s = max(self._worst, late_s), self._span_s + TICK_S + late_s
        if self._span_s >= SPAN_S or late_s >= LATE_S:
            self.lag_s, self._worst, self._span_s = self._worst, 0.0, 0.0
            if self._measured is not None:
                self._measured(self.lag_s)

    def _tell(self, now: float) -> None:
        if self._log is None or not self._untold or now - self._told_at < TOLD_EVERY_S:
            return
        self._log.warning(
            "the event loop came late %s, by %.2f s at worst: something in it computes or blocks, or the process stood still; give such work a "
            "thread (blocking=True) or a process, or the host more processor",
            "once" if self._untold == 1 else f"{self._untold} times", self._worst_untold,
        )  # fmt: skip
        self._untold, self._worst_untold, self._told_at = 0, 0.0, now
