"""Counters of one endpoint on one side: plain ints and a log2 histogram, folded only when somebody looks.

`int += 1` costs 25 ns and a histogram step by `bit_length` 134 ns, against 452 and 1001 ns for a metrics library
(docs/benchmarks.md), so that counting can stay on for every call.
"""

from __future__ import annotations

from typing import Any, Literal

Decision = Literal["retries", "withheld", "hedges", "opened", "refused", "shed", "limited", "fallbacks"]
"""What a client may decide about a call. retries: made again; withheld: not made again since the budget was used up; hedges: a
second attempt beside the first; opened: the breaker opened; refused: by an open breaker; shed: by the bulkhead; limited: by the
rate; fallbacks: answered by the fallback."""
BUCKETS = 64
"""The last one holds 2**63 microseconds: an open WebSocket is a call, too, and may last for weeks."""


class CallCounters:
    """What happened to the calls of one endpoint. `histogram[i]` counts calls of under 2**i microseconds; `decisions` what a
    client did about them: see `Decision`."""

    __slots__ = ("codes", "decisions", "failed", "histogram", "in_flight", "late", "ok", "side", "total_s")

    def __init__(self, side: str) -> None:
        self.side = side
        self.ok = self.failed = self.in_flight = self.late = 0
        self.total_s = 0.0
        self.codes: dict[str, int] = {}
        self.decisions: dict[str, int] = {}
        self.histogram = [0] * BUCKETS

    def succeeded(self, elapsed_s: float) -> None:
        """One call was answered."""
        self.ok += 1
        self.total_s += elapsed_s
        self.histogram[int(elapsed_s * 1e6).bit_length()] += 1

    def fault(self, code: str, elapsed_s: float) -> None:
        """One call failed."""
        self.failed += 1
        self.total_s += elapsed_s
        self.codes[code] = self.codes.get(code, 0) + 1
        self.histogram[int(elapsed_s * 1e6).bit_length()] += 1

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
            "total_s": self.total_s,
            "histogram_us_log2": list(self.histogram),
        }
