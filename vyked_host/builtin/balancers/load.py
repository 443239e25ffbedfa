"""Strategies that look at load: `least_pending`, `ewma`. Both take two candidates by chance and keep the better one, which is
nearly as even as asking all of them, at the price of two (the power of two choices,
https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf), and doesn't send everybody to the same best one at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

from ...contracts import Call, Candidate, Fault
from .spread import Chance

DECAY_S = 10.0
"""How long a peak of latency counts: after so many seconds 1/e of it is left (Finagle's and Envoy's default)."""
UNMEASURED_S = 1.0
"""What a call in flight counts for at an instance that has answered none yet (Linkerd's default)."""


class LeastPending:
    """The one with fewer calls in flight for its weight; of equally busy ones, one by weight."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._pairs: Iterator[tuple[Candidate, Candidate]] = iter(())
        self._is_even = True

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from."""
        self._pairs = pairs(candidates, self._chance)
        self._is_even = len({each.weight for each in candidates}) == 1

    def choose(self, call: Call) -> Candidate:
        """The less busy of two."""
        one, other = next(self._pairs)
        if self._is_even:
            return one if one.in_flight <= other.in_flight else other
        mine, its = _pending(one), _pending(other)
        if mine != its:
            return one if mine < its else other
        if one.weight == other.weight:
            return one
        return one if self._chance() * (one.weight + other.weight) < one.weight else other


def _pending(candidate: Candidate) -> float:
    return candidate.in_flight / candidate.weight if candidate.weight > 0 else math.inf


class PeakEwma:
    """The one that is likely to answer sooner: what answers take there, times the calls in flight, for its weight. A slow answer
    counts at once, quick ones bring it down by and by: the peak EWMA of Finagle, Linkerd and Envoy
    (https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/contrib/load_balancing_policies/peak_ewma/peak_ewma.html)."""

    def __init__(self, chance: Chance, now: Callable[[], float], decay_s: float = DECAY_S) -> None:
        self._chance, self._now, self._decay_s = chance, now, decay_s
        self._pairs: Iterator[tuple[Candidate, Candidate]] = iter(())
        self._measured: dict[str, float] = {}  # when, by node: a peak that nobody repeats fades

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from; what is known of those that stay is kept."""
        now = self._now()
        self._pairs = pairs(candidates, self._chance)
        self._measured = {each.node_id: self._measured.get(each.node_id, now) for each in candidates}

    def choose(self, call: Call) -> Candidate:
        """The one of two with the smaller cost."""
        one, other = next(self._pairs)
        if one is other:
            return one
        now = self._now()
        return other if self._cost(other, now) < self._cost(one, now) else one

    def observed(self, candidate: Candidate, fault: Fault | None, elapsed_s: float) -> None:
        """An answer took `elapsed_s`. One that failed makes nobody look faster: refusals are quick."""
        before = self._measured.get(candidate.node_id)
        if before is None:
            return
        now, known = self._now(), candidate.ewma_s
        self._measured[candidate.node_id] = now
        left = math.exp((before - now) / self._decay_s)
        if elapsed_s > known * left or fault is not None:
            candidate.ewma_s = max(elapsed_s, known * left)
        else:
            candidate.ewma_s = known * left + elapsed_s * (1.0 - left)

    def _cost(self, candidate: Candidate, now: float) -> float:
        if candidate.weight <= 0:
            return math.inf
        seconds = candidate.ewma_s * math.exp((self._measured[candidate.node_id] - now) / self._decay_s)
        if not candidate.ewma_s:
            return UNMEASURED_S * candidate.in_flight
        return seconds * (candidate.in_flight + 1) / candidate.weight


def pairs(candidates: Sequence[Candidate], chance: Chance) -> Iterator[tuple[Candidate, Candidate]]:
    """Two different ones at a time, without end; the same one twice where there is only one. In each round everybody comes once as
    the first and once as the second, in an order by chance and with a distance by chance: two throws for all calls of a round, where
    two for each call would cost more than the choice."""
    shuffled = sorted(candidates, key=lambda _: chance())
    if len(shuffled) == 1:
        yield from repeat((shuffled[0], shuffled[0]))
    while shuffled:
        distance = 1 + int(chance() * (len(shuffled) - 1))
        yield from zip(shuffled, shuffled[distance:] + shuffled[:distance], strict=True)
