"""Servers on paper: calls come at a rate, whatever becomes of those before, and a limit decides which of them run. Time is a number,
chance has a seed. `Pool`: so many work at a time, the others wait their turn, as handlers do for a database. `Loop`: one works, and
what has come during a turn is let in at its end, as on an event loop whose handlers compute.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from vyked_host.routing.concurrency import Concurrency, Pace, Seen

TICK_S = 0.05
FREE = 10**9
"""As many workers as are wanted: nothing ever waits."""
Rates = Sequence[tuple[float, float]]
"""(from when on, calls a second)"""


@dataclass(slots=True)
class Call:
    """One call; `ended` None: it was refused. What comes to a busy loop is seen later than it came."""

    endpoint: int
    came: float
    seen: float
    ended: float | None = None

    @property
    def took(self) -> float:
        assert self.ended is not None
        return self.ended - self.came


@dataclass
class Run:
    """What became of a run."""

    limit: Concurrency
    paces: list[Pace]
    calls: list[Call] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)

    def came(self, begin: float, end: float, endpoint: int = 0) -> list[Call]:
        return [each for each in self.calls if begin <= each.came < end and each.endpoint == endpoint]

    def accepted(self, begin: float, end: float, endpoint: int = 0) -> list[Call]:
        return [each for each in self.came(begin, end, endpoint) if each.ended is not None]

    def refused(self, begin: float = 0.0, end: float = inf, endpoint: int = 0) -> float:
        """The share of those that came."""
        return 1 - len(self.accepted(begin, end, endpoint)) / len(self.came(begin, end, endpoint))

    def goodput(self, begin: float, end: float, endpoint: int = 0) -> float:
        """Calls a second that ended."""
        return sum(
            each.ended is not None and begin <= each.ended < end for each in self.calls if each.endpoint == endpoint
        ) / (end - begin)

    def took(self, begin: float, end: float, share: float = 0.99) -> float:
        """A percentile, in seconds."""
        found = sorted(each.took for each in self.accepted(begin, end))
        return found[min(len(found) - 1, int(share * len(found)))]

    def note(self, call: Call, now: float) -> None:
        """It has succeeded."""
        call.ended = now
        pace = self.paces[call.endpoint]
        took = now - call.seen
        if call.seen >= pace.since:
            pace.ended += 1
            pace.total_s += took
            pace.fastest_s = min(pace.fastest_s, took)


def arrivals(rates: Rates, seconds: float, chance: random.Random) -> list[float]:
    """When calls come, one by one."""
    found, now = list[float](), 0.0
    while now < seconds:
        rate = [rate for begin, rate in rates if begin <= now][-1]
        now += chance.expovariate(rate) if rate else 0.01
        if rate:
            found.append(now)
    return found


class Pool:
    """`endpoints`: for each the rates at which it is called and how many work for it. `work` gives the seconds a call takes."""

    def __init__(
        self, endpoints: Sequence[tuple[Rates, int]], work: Callable[[random.Random, int, float], float], *,
        most: float = 1024, seed: int = 1,
    ) -> None:  # fmt: skip
        self._endpoints, self._work, self._chance = endpoints, work, random.Random(seed)
        self.run = Run(Concurrency(most, 0.0), [Pace() for _ in endpoints])
        self._free = [workers for _, workers in endpoints]
        self._waiting: list[deque[Call]] = [deque() for _ in endpoints]
        self._running: dict[int, Call] = {}
        self._refused = False
        self._events: list[tuple[float, int, str, Call | None]] = []
        self._count = 0

    def until(self, seconds: float) -> Run:
        """Run it."""
        for endpoint, (rates, _) in enumerate(self._endpoints):
            for when in arrivals(rates, seconds, self._chance):
                self._at(when, "comes", Call(endpoint, when, when))
        for tick in range(1, round(seconds / TICK_S)):
            self._at(tick * TICK_S, "tick", None)
        while self._events:
            now, _, what, call = heapq.heappop(self._events)
            if call is None:
                self._look(now)
            elif what == "comes":
                self._comes(call, now)
            else:
                self._ends(call, now)
        return self.run

    def _at(self, when: float, what: str, call: Call | None) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, what, call))

    def _comes(self, call: Call, now: float) -> None:
        self.run.calls.append(call)
        if len(self._running) >= self.run.limit.limit:
            self._refused = True
            return
        self._running[id(call)] = call
        if self._free[call.endpoint]:
            self._begin(call, now)
        else:
            self._waiting[call.endpoint].append(call)

    def _begin(self, call: Call, now: float) -> None:
        self._free[call.endpoint] -= 1
        self._at(now + self._work(self._chance, call.endpoint, now), "ends", call)

    def _ends(self, call: Call, now: float) -> None:
        del self._running[id(call)]
        self._free[call.endpoint] += 1
        if self._waiting[call.endpoint]:
            self._begin(self._waiting[call.endpoint].popleft(), now)
        self.run.note(call, now)

    def _look(self, now: float) -> None:
        def older(seconds: float) -> int:
            return sum(now - each.came > seconds for each in self._running.values())

        self.run.limit.look(
            self.run.paces, Seen(now=now, late_s=0.0, ran=len(self._running), refused=self._refused, older=older)
        )
        self.run.limits.append((now, self.run.limit.limit))
        self._refused = False


REFUSING_S = 15e-6
"""What a refusal costs a loop."""
WAITS_S = 1.0
"""What has waited longer since it was seen is not begun."""


def loop(rates: Rates, work_s: float, seconds: float, *, most: float = 1024, seed: int = 1) -> Run:
    """One loop, on which each call computes for `work_s`."""
    run = Run(Concurrency(most, 0.0), [Pace()])
    coming = deque(arrivals(rates, seconds, random.Random(seed)))
    now, due = 0.0, TICK_S
    while coming:
        now = max(now, min(coming[0], due))
        turn, refused = list[Call](), False
        while coming and coming[0] <= now:
            call = Call(0, coming.popleft(), now)
            run.calls.append(call)
            now += REFUSING_S
            if len(turn) < run.limit.limit:
                turn.append(call)
            else:
                refused = True
        for call in turn:
            if now - call.seen < WAITS_S:
                now += work_s
                run.note(call, now)
            else:
                now += REFUSING_S
        if now >= due:
            seen = Seen(now=now, late_s=now - due, ran=len(turn), refused=refused, older=lambda _: 0)
            run.limit.look(run.paces, seen)
            run.limits.append((now, run.limit.limit))
            due = now + TICK_S
    return run
