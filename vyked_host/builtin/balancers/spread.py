"""Strategies that spread calls without looking at anything: `random`, `weighted`, `round_robin`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from ...contracts import Call, Candidate

Chance = Callable[[], float]


class Random:
    """Any candidate, with equal chance."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._candidates: Sequence[Candidate] = ()

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from."""
        self._candidates = candidates

    def choose(self, call: Call) -> Candidate:
        """One of them."""
        return self._candidates[int(self._chance() * len(self._candidates))]


class Weighted:
    """Any candidate, with chances in proportion to weights; weight 0: none while another has more. Two look-ups a call, however
    many there are: Vose's alias method (https://www.keithschwarz.com/darts-dice-coins/)."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._columns: list[tuple[float, Candidate, Candidate]] = []

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from, and their weights."""
        weights = [max(0.0, each.weight) for each in candidates]
        self._columns = [
            (share, candidates[at], candidates[alias]) for at, (share, alias) in enumerate(aliases(weights))
        ]

    def choose(self, call: Call) -> Candidate:
        """One of them: the fair die says which column, what is left of the same throw which end of it."""
        at = self._chance() * len(self._columns)
        column = int(at)
        share, own, alias = self._columns[column]
        return own if at - column < share else alias


def aliases(weights: Sequence[float]) -> list[tuple[float, int]]:
    """A column for each weight: the share of the column that is its own, and whose the rest is. All weights 0: all equal."""
    count, total = len(weights), sum(weights)
    scaled = [weight * count / total for weight in weights] if total > 0 else [1.0] * count
    columns = [(1.0, at) for at in range(count)]
    small = [at for at in range(count) if scaled[at] < 1.0]
    large = [at for at in range(count) if scaled[at] >= 1.0]
    while small and large:
        less, more = small.pop(), large.pop()
        columns[less] = (scaled[less], more)
        scaled[more] -= 1.0 - scaled[less]
        (small if scaled[more] < 1.0 else large).append(more)
    return columns


class RoundRobin:
    """One after the other, starting anywhere, so that many clients don't start with the same instance."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._candidates: Sequence[Candidate] = ()
        self._next = 0

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from; the turn goes on after the last one that was chosen."""
        last = self._candidates[self._next - 1].node_id if self._candidates else None
        self._candidates = sorted(candidates, key=_by_node)
        self._next = (
            int(self._chance() * len(candidates))
            if last is None
            else bisect_right(self._candidates, last, key=_by_node)
        )

    def choose(self, call: Call) -> Candidate:
        """The next one."""
        at = self._next if self._next < len(self._candidates) else 0
        self._next = at + 1
        return self._candidates[at]


def _by_node(candidate: Candidate) -> str:
    return candidate.node_id
