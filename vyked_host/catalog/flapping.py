"""Nodes that come and go: that they went is always told at once; that they are back is told more and more seldom.

The first going and coming back is told as it happens. From the second within the window on, each of them makes the next
coming back wait one heartbeat more, so that watchers hear of one node once a heartbeat at most. Who went five times is told
as suspect when it is back, until it has been there for long enough.
"""

from __future__ import annotations

from .state import History, Rules

WINDOW = 12.0
"""Heartbeats for which a going away counts: 60 s by default."""
UNSTABLE = 5
"""Goings within the window from which on a node is suspect."""
_DAMPED = 2


def _lately(history: History, rules: Rules, now: float) -> tuple[float, ...]:
    return tuple(at for at in history.flaps if now - at < WINDOW * rules.heartbeat_s)


def went(history: History, rules: Rules, now: float) -> History:
    """The node went away at `now`."""
    flaps = (*_lately(history, rules, now), now)[-UNSTABLE:]
    return History(flaps=flaps, free_at=history.free_at)


def told(history: History, rules: Rules, now: float) -> History:
    """Watchers were told at `now` that the node went, or that it is back."""
    if len(history.flaps) < _DAMPED:
        return history
    return History(flaps=history.flaps, free_at=max(history.free_at, now) + rules.heartbeat_s)


def may_tell(history: History | None, now: float) -> bool:
    """May watchers hear now that the node is back?"""
    return history is None or now >= history.free_at


def unstable(history: History | None, rules: Rules, now: float) -> bool:
    """Did it go so often lately that being back means little?"""
    return history is not None and len(_lately(history, rules, now)) >= UNSTABLE


def over(history: History, rules: Rules, now: float) -> bool:
    """Has it been quiet for so long that the past may be forgotten?"""
    return not _lately(history, rules, now) and now >= history.free_at
