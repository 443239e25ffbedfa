"""Is the peer still there, and does it get on? Pure: told what was heard, asked now and then. Times are monotonic seconds.

Any byte counts as a sign of life. A quiet peer is pinged; one that stays silent is dead, at most ping + pong after its last
byte. One that began a frame has to complete it within `body`, so trickling bytes keeps no connection alive for ever.
"""

from __future__ import annotations

from typing import Literal

from ...contracts import TimingTable

Finding = Literal["fine", "ping", "dead", "stalled"]
STRIKES = 3


class Pulse:
    """One peer. `heard` is when its last byte came."""

    __slots__ = ("_body", "_partial_since", "_ping", "_pinged", "_pong", "_rude", "_strikes", "_was_pinged", "heard")

    def __init__(self, timing: TimingTable, now: float) -> None:
        self._ping, self._pong, self._body = timing.ping, timing.pong, timing.body
        self._rude = self._ping / 10
        self.heard = now
        self._pinged: float | None = None
        self._partial_since: float | None = None
        self._was_pinged = now - self._ping
        self._strikes = 0

    def progress(self, now: float, *, packets: bool, incomplete: bool) -> None:
        """Bytes came: `packets` were completed, and the last one is `incomplete` or not."""
        self.heard = now
        if not incomplete:
            self._partial_since = None
        elif packets or self._partial_since is None:
            self._partial_since = now

    def look(self, now: float) -> Finding:
        """What is to be done now; "ping" is remembered as sent."""
        if self._partial_since is not None and now - self._partial_since >= self._body:
            return "stalled"
        if self._pinged is not None and self.heard >= self._pinged:
            self._pinged = None
        if self._pinged is not None:
            return "dead" if now - self._pinged >= self._pong else "fine"
        if now - self.heard >= self._ping:
            self._pinged = now
            return "ping"
        return "fine"

    def next(self) -> float:
        """When to look again."""
        waiting = self._pinged is not None and self.heard < self._pinged
        when = self._pinged + self._pong if waiting and self._pinged is not None else self.heard + self._ping
        return when if self._partial_since is None else min(when, self._partial_since + self._body)

    def excuse(self, now: float) -> None:
        """This side did not listen for a while: what was not heard is not the peer's fault."""
        self.heard, self._pinged = now, None
        if self._partial_since is not None:
            self._partial_since = now

    def pinged(self, now: float) -> bool:
        """The peer pinged. True: it does so too often, again and again."""
        often = now - self._was_pinged < self._rude
        self._was_pinged = now
        self._strikes = self._strikes + 1 if often else 0
        return self._strikes > STRIKES
