"""How slow, how silent and how busy the peer of one socket may be. Pure; times are monotonic seconds."""

from __future__ import annotations

from ..pace import Allowances

WINDOW_S = 10.0
"""Over which the rate of messages is an average: a quiet socket may send that many seconds' worth at once."""


class SocketPace:
    """One socket's progress. `rate`: frames a second, None: no bound."""

    __slots__ = ("_allowed", "_heard", "_partial_since", "_pinged", "_rate", "_tokens", "_topped_up", "_unsent", "_unsent_since")  # fmt: skip

    def __init__(self, allowed: Allowances, now: float, rate: int | None) -> None:
        self._allowed, self._rate = allowed, rate
        self._heard = self._unsent_since = self._topped_up = now
        self._pinged: float | None = None
        self._partial_since: float | None = None
        self._unsent = 0
        self._tokens = (rate or 0) * WINDOW_S

    def heard(self, now: float, frames: int, *, partial: bool) -> bool:
        """Bytes came, which completed so many frames; `partial`: a message is unfinished. False: these are too many."""
        self._heard, self._pinged = now, None
        if not partial:
            self._partial_since = None
        elif self._partial_since is None:
            self._partial_since = now
        return self._rate is None or self._spend(now, frames, self._rate)

    def _spend(self, now: float, frames: int, rate: int) -> bool:
        self._tokens = min(rate * WINDOW_S, self._tokens + (now - self._topped_up) * rate)
        self._topped_up = now
        self._tokens -= frames
        return self._tokens >= 0

    def too_slow(self, now: float, *, reading: bool, unsent: int) -> str | None:
        """Why this socket has to go; None: it may stay. `reading` False: this side does not want more at present, so its
        silence is no fault of the peer; `unsent`: bytes that the peer has not taken."""
        if not reading:
            self._heard, self._pinged = now, None
            if self._partial_since is not None:
                self._partial_since = now
        if self._partial_since is not None and now - self._partial_since > self._allowed.body:
            return "message"
        if self._pinged is not None and now - self._pinged > self._allowed.pong:
            return "pong"
        return "reading" if self._is_stalled(now, unsent) else None

    def wants_ping(self, now: float) -> bool:
        """Is it time to ask whether the peer is still there? It counts as asked then."""
        if self._pinged is not None or now - self._heard < self._allowed.ping:
            return False
        self._pinged = now
        return True

    def _is_stalled(self, now: float, unsent: int) -> bool:
        if unsent == 0 or unsent < self._unsent:
            self._unsent_since = now
        self._unsent = unsent
        return now - self._unsent_since > self._allowed.write
