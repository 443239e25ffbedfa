"""How many attempts a client may make beyond its calls, so that an outage is not answered with a multiple of the load. Pure.

The shape and the share are Linkerd's (https://linkerd.io/2/tasks/configuring-retries/: 20 % and 10 a second, over 10 s); fewer a
second here, since a mesh here has fewer calls.
"""

from __future__ import annotations

from .window import Window

WINDOW_S = 10.0


class RetryBudget:
    """In the last 10 s at most `share` of the calls and `per_second` times ten more attempts were granted.

    Nothing is counted here per call: `calls`, the number of all calls so far, is looked at when another attempt is wanted.
    """

    __slots__ = ("_calls", "_least", "_looked", "_share", "_window")

    def __init__(self, share: float, per_second: float, now: float) -> None:
        self._share, self._least = share, per_second * WINDOW_S
        self._window = Window(WINDOW_S)
        self._calls, self._looked = 0, now

    def take(self, calls: int, now: float) -> bool:
        """May there be one more attempt? True counts it."""
        self._window.add(now, self._lately(calls, now), 0)
        seen, granted = self._window.sums(now)
        if granted + 1 > self._share * seen + self._least:
            return False
        self._window.add(now, 0, 1)
        return True

    def _lately(self, calls: int, now: float) -> int:
        """The calls since the last look; of a time longer than the window only what fits into it, were they spread evenly."""
        since, elapsed = max(0, calls - self._calls), now - self._looked
        self._calls, self._looked = calls, now
        return since if elapsed <= WINDOW_S else int(since * WINDOW_S / elapsed)
