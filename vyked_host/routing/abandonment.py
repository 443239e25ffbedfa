"""When to tell of what nobody comes back to: after a while, and again each time that while has doubled."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
ABANDONED_S = 3600.0
"""Seconds for which a group of events has had nobody, while some wait for it, until somebody is told: longer than a deployment that
goes wrong and is taken back, so that who is told has something to decide; short beside the days in which a store fills up."""


class Abandonment(Generic[K]):
    """Of one holder. `first_s`: seconds until it tells for the first time."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._alone: dict[K, tuple[float, float]] = {}

    def look(self, alone: Iterable[K], now: float) -> list[tuple[K, float]]:
        """Who is to be told of, and alone for how many seconds. `alone`: all that are so at `now` (monotonic seconds); who is not among them
        any more begins anew."""
        before, self._alone = self._alone, {}
        due: list[tuple[K, float]] = []
        for each in alone:
            since, after = before.get(each, (now, self._first_s))
            if now - since >= after:
                due.append((each, now - since))
                after *= 2
            self._alone[each] = (since, after)
        return due
