"""How slow a client may be: aiohttp has no deadline for headers, bodies or reading, so the host keeps its own.

Pure: told what happens and asked now and then, so that every rule is tested without a socket. Times are monotonic seconds.
"""

from __future__ import annotations

from ...contracts import TimingTable

GRACE_S = 5.0
LEAST_RATE = 1024
"""Bytes a second that a body has to keep up on average, after `GRACE_S`."""


class Allowances:
    """The times of `[timing]`, which an Environment holds scaled already; what is fixed here is scaled here."""

    def __init__(self, timing: TimingTable) -> None:
        self.headers, self.body = timing.headers, timing.body
        self.write, self.keep_alive = timing.write, timing.keep_alive
        self.ping, self.pong = timing.ping, timing.pong
        self.grace, self.rate = GRACE_S * timing.scale, LEAST_RATE / timing.scale
        self.sweep = min(
            1.0, max(0.05, min(self.headers, self.body, self.write, self.grace, self.ping, self.pong) / 10)
        )


class Pace:
    """One connection's progress."""

    __slots__ = ("_allowed", "_body_bytes", "_body_since", "_unsent", "_unsent_since", "active", "waiting_since")

    def __init__(self, allowed: Allowances, now: float) -> None:
        self._allowed = allowed
        self.active = False
        self.waiting_since: float | None = now
        self._body_since = now
        self._body_bytes = 0
        self._unsent, self._unsent_since = 0, now

    def heard(self, now: float) -> None:
        """Bytes came: outside a request they begin the next one's headers."""
        if not self.active and self.waiting_since is None:
            self.waiting_since = now

    def began(self, now: float) -> None:
        """The headers are complete."""
        self.active, self.waiting_since = True, None
        self._body_since, self._body_bytes = now, 0

    def ended(self) -> None:
        """The request was handled: the connection idles until more bytes come."""
        self.active, self.waiting_since = False, None

    @property
    def idle(self) -> bool:
        """Nothing is under way, not even headers."""
        return not self.active and self.waiting_since is None

    def too_slow(self, now: float, *, body: int | None, reading: bool, unsent: int) -> str | None:
        """Why this connection has to go; None: it may stay. `body`: bytes of an incomplete body, None without one;
        `reading` False: this side does not want more at present; `unsent`: bytes that the client has not taken."""
        if self.waiting_since is not None and now - self.waiting_since > self._allowed.headers:
            return "headers"
        if self.active and body is not None and self._is_body_late(now, body, reading):
            return "body"
        return "reading" if self._is_stalled(now, unsent) else None

    def _is_body_late(self, now: float, body: int, reading: bool) -> bool:
        if not reading:
            self._body_since, self._body_bytes = now, body
            return False
        elapsed = now - self._body_since
        if elapsed > self._allowed.body:
            return True
        return elapsed > self._allowed.grace and body - self._body_bytes < elapsed * self._allowed.rate

    def _is_stalled(self, now: float, unsent: int) -> bool:
        if unsent == 0 or unsent < self._unsent:
            self._unsent_since = now
        self._unsent = unsent
        return now - self._unsent_since > self._allowed.write
