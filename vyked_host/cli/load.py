"""Load on one method: closed (so many calls in flight, the next begins when one ends) or open (so many a second, whatever comes
back). What was measured is kept in constant memory.

In an open load a call's latency counts from when it was due, not from when it was begun: what could not be sent in time because
others stood in the way is part of what a caller would have waited (otherwise a stall hides the calls it held up).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from math import ceil, exp, floor, log
from time import perf_counter

from ..errors import CallError

Once = Callable[[], Awaitable[object]]
FINENESS = 100.0
"""Steps per factor e: a percentile is exact to 1 %."""


class Latencies:
    """Seconds, by their logarithm."""

    def __init__(self) -> None:
        self._steps = Counter[int]()
        self.count, self.most = 0, 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._steps[floor(log(max(seconds, 1e-9)) * FINENESS)] += 1
        self.count += 1
        self.most = max(self.most, seconds)

    def merge(self, other: Latencies) -> None:
        """Take in what another has counted."""
        self._steps.update(other._steps)
        self.count += other.count
        self.most = max(self.most, other.most)

    def percentile(self, share: float) -> float:
        """The seconds that `share` of all (0 to 1) did not exceed, to 1 %; 0.0 when there are none."""
        left = ceil(share * self.count)
        for step in sorted(self._steps):
            left -= self._steps[step]
            if left <= 0:
                return min(exp((step + 0.5) / FINENESS), self.most)
        return 0.0


class Measured:
    """What a load found: `outcomes` counts calls by their code, "OK" for those that succeeded; `latencies` are those of all."""

    def __init__(self) -> None:
        self.latencies, self.outcomes = Latencies(), Counter[str]()
        self.seconds = 0.0

    def merge(self, other: Measured) -> None:
        """Take in another round of the same."""
        self.latencies.merge(other.latencies)
        self.outcomes.update(other.outcomes)
        self.seconds += other.seconds

    async def one(self, once: Once, began: float) -> None:
        """Make one call and count it; its latency is from `began` on. What is no CallError is raised."""
        try:
            await once()
            code = "OK"
        except CallError as error:
            code = error.code
        self.latencies.add(perf_counter() - began)
        self.outcomes[code] += 1


async def closed(once: Once, in_flight: int, seconds: float) -> Measured:
    """So many calls in flight for so long; those that run by then are waited for."""
    found, began = Measured(), perf_counter()

    async def caller() -> None:
        while (now := perf_counter()) - began < seconds:
            await found.one(once, now)

    async with asyncio.TaskGroup() as callers:
        for _ in range(in_flight):
            callers.create_task(caller())
    found.seconds = perf_counter() - began
    return found


async def open_loop(once: Once, rate: float, seconds: float) -> Measured:
    """`rate` calls a second for so long, evenly; those that run by then are waited for."""
    found, began, total = Measured(), perf_counter(), max(1, round(rate * seconds))
    async with asyncio.TaskGroup() as calls:
        for number in range(total):
            due = began + number / rate
            if (early := due - perf_counter()) > 0.0:
                await asyncio.sleep(early)
            calls.create_task(found.one(once, due))
            if early <= 0.0:
                await asyncio.sleep(0)  # behind: answers have to be read all the same
    found.seconds = perf_counter() - began
    return found
