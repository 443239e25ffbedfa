"""Counters of one endpoint on one side: plain ints and a log2 histogram, folded only when somebody looks.

`int += 1` costs 25 ns and a histogram step by `bit_length` 134 ns, against 452 and 1001 ns for a metrics library
(docs/benchmarks.md), so that counting can stay on for every call. What goes well is not even that: how long it took is put down, and
counted with others that were put down before, sorted, so that each bucket is found once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Literal

Decision = Literal["retries", "withheld", "hedges", "opened", "refused", "shed", "limited", "fallbacks"]
"""What a client may decide about a call. retries: made again; withheld: not made again since the budget was used up; hedges: a
second attempt beside the first; opened: the breaker opened; refused: by an open breaker; shed: by the bulkhead; limited: by the
rate; fallbacks: answered by the fallback."""
BUCKETS = 64
"""The last one holds 2**63 microseconds: an open WebSocket is a call, too, and may last for weeks."""


BATCH = 128
"""Calls that are put down before they are counted."""
_BOUNDS = [2**bucket / 1e6 for bucket in range(BUCKETS)]


class Tally:
    """`seconds` that calls took which were answered, and are not counted yet. Of a call inside this process both ends are told at once.
    Who puts one down calls `fold` once there are `BATCH`."""

    __slots__ = ("_ends", "seconds")

    def __init__(self, *ends: CallCounters) -> None:
        self._ends = ends
        self.seconds: list[float] = []

    def fold(self) -> None:
        """Count them."""
        seconds = sorted(self.seconds)
        self.seconds.clear()
        for each in self._ends:
            each.add(seconds)


class CallCounters:
    """What happened to the calls of one endpoint. `histogram[i]` counts calls of under 2**i microseconds; `decisions` what a
    client did about them: see `Decision`."""

    __slots__ = (
        "_histogram", "_ok", "_tallies", "_total_s", "codes", "decisions", "failed", "in_flight", "late", "side", "tally"
    )  # fmt: skip

    def __init__(self, side: str) -> None:
        self.side = side
        self._ok = self.failed = self.in_flight = self.late = 0
        self._total_s = 0.0
        self.codes: dict[str, int] = {}
        self.decisions: dict[str, int] = {}
        self._histogram = [0] * BUCKETS
        self.tally = Tally(self)
        self._tallies = [self.tally]

    def succeeded(self, elapsed_s: float) -> None:
        """One call was answered."""
        seconds = self.tally.seconds
        seconds.append(elapsed_s)
        if len(seconds) >= BATCH:
            self.tally.fold()

    def together(self, other: CallCounters) -> Tally:
        """What counts a call here and for `other`, its other end, at once."""
        found = Tally(self, other)
        self._tallies.append(found)
        other._tallies.append(found)
        return found

    def add(self, seconds: Sequence[float]) -> None:
        """So many calls were answered, in so many seconds each, in ascending order."""
        self._ok += len(seconds)
        self._total_s += sum(seconds)
        start = 0
        while start < len(seconds):
            bucket = int(seconds[start] * 1e6).bit_length()
            stop = max(start + 1, bisect_left(seconds, _BOUNDS[bucket], start))
            self._histogram[bucket] += stop - start
            start = stop

    def _fold(self) -> None:
        for each in self._tallies:
            if each.seconds:
                each.fold()

    @property
    def ok(self) -> int:
        """Calls that were answered."""
        self._fold()
        return self._ok

    def fault(self, code: str, elapsed_s: float) -> None:
        """One call failed."""
        self.failed += 1
        self._total_s += elapsed_s
        self.codes[code] = self.codes.get(code, 0) + 1
        self._histogram[int(elapsed_s * 1e6).bit_length()] += 1

    @property
    def calls(self) -> int:
        """Calls that ended, however often each was tried; of a client, whose `ok` and `failed` count attempts."""
        return self.ok + self.failed - self.decisions.get("retries", 0)

    def note(self, decision: Decision) -> None:
        """A client decided something about a call."""
        self.decisions[decision] = self.decisions.get(decision, 0) + 1

    def report(self) -> dict[str, Any]:
        """The counters as plain data."""
        return {
            "side": self.side,
            "ok": self.ok,
            "failed": self.failed,
            "codes": dict(self.codes),
            "decisions": dict(self.decisions),
            "in_flight": self.in_flight,
            "late": self.late,
            "total_s": self._total_s,
            "histogram_us_log2": list(self._histogram),
        }
