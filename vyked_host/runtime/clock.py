"""Time on the event loop: one shared sweep instead of a timer per call.

`loop.call_later` for each call costs a fifth of the throughput; looking at all that wait every 50 ms costs 2 % of that
(docs/benchmarks.md). So an expiry may come up to 50 ms late, never early.

Where the process itself was held up, the machine often was, and with it whoever is waited for: a virtual machine whose processors
were taken away for two seconds goes on with all that was under way, none of which is late for a fault of its own. So the first
sweep after that ends nothing, and who was held up too can say what it has to say. What has to be done is done at once: a sign of
life that waits as well would come later still.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context

SWEEP_S = 0.05
HELD_UP_S = 0.5
"""A sweep that comes later than that comes out of a process that was held up."""
GRACE_S = 0.5
"""So long after it the next one comes, which ends what is over, whether it is late too or not."""


class Sweep:
    """The timer of many that wait: `look`, which is told the time, is called every 50 ms for as long as it says that there is more.
    `spares`: not by a sweep that comes out of a process that was held up, once."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], look: Callable[[float], bool], *, spares: bool = True
    ) -> None:  # fmt: skip
        self._loop, self._now, self._look, self._spares = loop, now, look, spares
        self._due = 0.0
        self._is_spared = False
        self._timer: asyncio.TimerHandle | None = None
        self._context = Context()
        """Of the timer: that of a call, in which it may be set, would be kept for as long."""

    def begin(self) -> None:
        """There is something to look for. Idempotent."""
        if self._timer is None:
            self._later(SWEEP_S)

    def stop(self) -> None:
        """There is nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self, seconds: float) -> None:
        self._due = self._now() + seconds
        self._timer = self._loop.call_later(seconds, self._come, context=self._context)

    def _come(self) -> None:
        now = self._now()
        if self._spares and now - self._due > HELD_UP_S and not self._is_spared:
            self._is_spared = True
            self._later(GRACE_S)
            return
        self._is_spared, self._timer = False, None
        if self._look(now):
            self.begin()


class Timers:
    """Calls that wait for their time, under one sweep."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], *, spares: bool) -> None:
        self._loop = loop
        self._waiting: dict[int, tuple[float, Callable[[], None]]] = {}
        self._next = 0
        self._sweep = Sweep(loop, now, self._look, spares=spares)

    def add(self, when: float, call: Callable[[], None]) -> Callable[[], None]:
        """Make `call` once `when` has passed; the answer cancels it."""
        self._next = token = self._next + 1
        self._waiting[token] = (when, call)
        self._sweep.begin()

        def cancel() -> None:
            self._waiting.pop(token, None)

        return cancel

    def _look(self, now: float) -> bool:
        due = sorted((when, token) for token, (when, _) in self._waiting.items() if when <= now)
        for _, token in due:
            self._loop.call_soon(self._call, token)
        return bool(self._waiting)

    def _call(self, token: int) -> None:
        found = self._waiting.pop(token, None)  # None: cancelled in this very turn
        if found is not None:
            found[1]()

    def close(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        self._sweep.stop()


class LoopClock:
    """`contracts.Clock` on one event loop; virtual time comes by way of the loop's own clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # uvloop's own clock moves in milliseconds, once a turn; both are CLOCK_MONOTONIC
        self.now: Callable[[], float] = loop.time if isinstance(loop, asyncio.BaseEventLoop) else time.monotonic
        # a loop whose time is virtual has its own idea of the date, which moves with it
        self.unix: Callable[[], float] = getattr(loop, "unix", time.time)
        self._deeds, self._ends = Timers(loop, self.now, spares=False), Timers(loop, self.now, spares=True)
        self.at, self.expire = self._deeds.add, self._ends.add

    def close(self) -> None:
        """Forget all that waits."""
        self._deeds.close()
        self._ends.close()
