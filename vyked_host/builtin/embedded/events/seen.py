"""Which events were accepted lately: one that is published again under its id, because the answer was lost, is accepted
again and goes nowhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

WINDOW_S, MOST = 600.0, 100_000
"""An id is known for 10 minutes, and while it is among the last 100 000 (RELIABILITY C2, docs/semantics.md)."""


class Seen:
    """Ids and when they came, oldest first. Times in monotonic seconds."""

    def __init__(self, most: int = MOST) -> None:
        self._when: OrderedDict[str, float] = OrderedDict()  # a plain dict is slow at its front
        self._most = most

    def __len__(self) -> int:
        return len(self._when)

    def add(self, event_id: str, now: float) -> bool:
        """Remember `event_id`; False: it was known already."""
        if self.knows(event_id, now):
            return False
        self._when[event_id] = now
        self._when.move_to_end(event_id)
        if len(self._when) > self._most:
            self._when.popitem(last=False)
        return True

    def knows(self, event_id: str, now: float) -> bool:
        """Did it come within the window?"""
        when = self._when.get(event_id)
        return when is not None and now - when <= WINDOW_S

    def forget(self, event_id: str) -> None:
        """It was not accepted after all."""
        self._when.pop(event_id, None)

    def add_all(self, ids: Iterable[str], now: float) -> None:
        """Remember all of `ids`."""
        for each in ids:
            self.add(each, now)

    def ids(self) -> list[str]:
        """All that are known, oldest first."""
        return list(self._when)
