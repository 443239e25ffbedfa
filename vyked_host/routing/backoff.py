"""How long to wait before the next try: exponential, capped, with jitter, so that many don't come back at once."""

from __future__ import annotations

from ..model.values import Value

EACH_S = 0.002
"""What each of many that connect anew gets for itself. A hello costs its host 0.6 ms (measured, 500 of them); the rest is for TLS
and what is said next."""


class Backoff(Value):
    """`first` and `most` in seconds; the ceiling of try n (0, 1, ...) is ``first * factor**n``, at most `most`."""

    first: float = 0.1
    most: float = 10.0
    factor: float = 2.0

    def ceiling(self, attempt: int) -> float:
        """The longest wait after `attempt` failures before this one, in seconds."""
        # beyond 64 doublings every sensible `most` is reached: no overflow, however often it failed
        return min(self.most, self.first * self.factor ** min(attempt, 64))

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait: between half of the ceiling and the ceiling; `chance` in [0, 1) decides where."""
        return self.ceiling(attempt) * (0.5 + chance / 2)

    def spread(self, attempt: int, chance: float, crowd: int = 1) -> float:
        """Seconds to wait before connecting again: between none and the ceiling, evenly (full jitter:
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). `crowd`: how many lost the same connection in
        the same moment; the ceiling is no lower than what they all need one after the other."""
        return max(self.ceiling(attempt), min(self.most, crowd * EACH_S)) * chance
