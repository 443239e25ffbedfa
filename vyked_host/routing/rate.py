"""A token bucket: so many calls a second on average, and so many at once. Pure: the time is passed in."""

from __future__ import annotations

_ENOUGH = 1.0 - 1e-6
"""Of a token: who waits for exactly as long as was said is not refused for a rounding error."""


class TokenBucket:
    """Full at first."""

    __slots__ = ("_burst", "_per_second", "_since", "_tokens")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second, self._burst, self._tokens, self._since = per_second, burst, burst, now

    def take(self, now: float) -> float:
        """0.0: there was a token, and it is taken; else the seconds until there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._per_second)
        self._since = now
        if self._tokens >= _ENOUGH:
            self._tokens = max(0.0, self._tokens - 1.0)
            return 0.0
        return (1.0 - self._tokens) / self._per_second
