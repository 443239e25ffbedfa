"""Slow start: instances that are new, or back, get their share of the calls by and by, under whatever balancer. While nobody is
warming up a call pays one look at whether somebody is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ..contracts import Candidate
from ..routing.slow_start import share

C = TypeVar("C", bound=Candidate)
DRAWS = 4
"""Other choices that a call is offered before it takes what it got."""


class WarmUp:
    """Who is warming up for one client. `seconds`: how long that takes, 0: nobody does; `chance`: floats in [0, 1)."""

    def __init__(self, seconds: float, now: Callable[[], float], chance: Callable[[], float]) -> None:
        self._seconds, self._now, self._chance = seconds, now, chance
        self._since: dict[str, float] = {}
        self._first: float | None = None
        self._over = 0.0
        self.is_on = False
        """Somebody is warming up."""

    def begin(self, node_id: str) -> None:
        """The instance at this node is new, or back."""
        if self._seconds > 0:
            self._since[node_id] = self._now()

    def among(self, node_ids: Iterable[str]) -> None:
        """These can be chosen. Their shares are relative to the warmest of them: where all are equally new, nobody waits."""
        wanted = list(node_ids)
        self._since = {each: self._since[each] for each in wanted if each in self._since}
        self._first = min(self._since.values(), default=None) if len(self._since) == len(wanted) else None
        self._over = max(self._since.values(), default=0.0) + self._seconds
        self.is_on = bool(self._since) and len(wanted) > 1

    def choose(self, draw: Callable[[], C]) -> C:
        """What `draw` gives, again where that one is still too cold for this call."""
        now, chosen = self._now(), draw()
        if now >= self._over:
            self._since, self.is_on = {}, False
            return chosen
        for _ in range(DRAWS):
            if self._takes(chosen.node_id, now):
                break
            chosen = draw()
        return chosen

    def _takes(self, node_id: str, now: float) -> bool:
        since = self._since.get(node_id)
        if since is None:
            return True
        best = 1.0 if self._first is None else share(now - self._first, self._seconds)
        return self._chance() * best < share(now - since, self._seconds)
