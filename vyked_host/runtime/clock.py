"""Time on the event loop: one shared sweep instead of a timer per call.

`loop.call_later` for each call costs a fifth of the throughput; looking at all that wait every 50 ms costs 2 % of that
(docs/benchmarks.md). So an expiry may come up to 50 ms late, never early.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SWEEP_S = 0.05


class LoopClock:
    """`contracts.Clock` on one event loop; virtual time comes by way of the loop's own clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # uvloop's own clock moves in milliseconds, once a turn; both are CLOCK_MONOTONIC
        self.now: Callable[[], float] = loop.time if isinstance(loop, asyncio.BaseEventLoop) else time.monotonic
        # a loop whose time is virtual has its own idea of the date, which moves with it
        self._virtual: Callable[[], float] | None = getattr(loop, "unix", None)
        self._waiting: dict[int, tuple[float, Callable[[], None]]] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def unix(self) -> float:
        """Seconds since 1970."""
        return time.time() if self._virtual is None else self._virtual()

    def at(self, when: float, expired: Callable[[], None]) -> Callable[[], None]:
        """Call `expired` once `when` has passed, at most 50 ms late; the answer cancels it."""
        self._next = token = self._next + 1
        self._waiting[token] = (when, expired)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)

        def cancel() -> None:
            self._waiting.pop(token, None)

        return cancel

    def _sweep(self) -> None:
        now = self.now()
        due = sorted((when, token) for token, (when, _) in self._waiting.items() if when <= now)
        self._timer = None
        for _, token in due:
            self._loop.call_soon(self._expire, token)
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)

    def _expire(self, token: int) -> None:
        found = self._waiting.pop(token, None)  # None: cancelled in this very turn
        if found is not None:
            found[1]()

    def close(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
