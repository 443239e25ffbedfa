"""The strategies. Each takes `chance`, a source of floats in [0, 1), so that a seed makes a run repeatable.

An instance that is not usable (draining, full, ejected) is passed over while another one is usable; when none is, the
first choice is returned and the caller finds out why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...contracts import Call, Candidate
from ...routing.affinity import Rendezvous
from ...routing.candidates import usable_from

Chance = Callable[[], float]


class Random:
    """Any usable candidate, with equal chance."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._candidates: Sequence[Candidate] = ()

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from."""
        self._candidates = candidates

    def choose(self, call: Call) -> Candidate:
        """One of them; where that one is not usable, any of those that are."""
        candidates = self._candidates
        chosen = candidates[int(self._chance() * len(candidates))]
        if chosen.usable:
            return chosen
        usable = [candidate for candidate in candidates if candidate.usable]
        return usable[int(self._chance() * len(usable))] if usable else chosen


class LeastPending:
    """Of two taken by chance, the one with fewer calls in flight for its weight: nearly as even as asking all of them, at the
    price of two (the power of two choices, https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf)."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._anywhere = Random(chance)
        self._candidates: Sequence[Candidate] = ()

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from."""
        self._candidates = candidates
        self._anywhere.update(candidates)

    def choose(self, call: Call) -> Candidate:
        """The less busy of two; where neither is usable, any of those that are."""
        candidates, count = self._candidates, len(self._candidates)
        first = int(self._chance() * count)
        one, other = candidates[first], candidates[(first + 1 + int(self._chance() * (count - 1))) % count]
        if not (one.usable and other.usable):
            return one if one.usable else other if other.usable else self._anywhere.choose(call)
        return other if _load(other) < _load(one) else one


def _load(candidate: Candidate) -> float:
    return candidate.in_flight / candidate.weight if candidate.weight > 0 else math.inf


class RoundRobin:
    """One after the other, starting anywhere, so that many clients don't start with the same instance."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._candidates: Sequence[Candidate] = ()
        self._next = 0

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from; the turn starts anywhere again."""
        self._candidates = sorted(candidates, key=lambda candidate: candidate.node_id)
        self._next = int(self._chance() * len(candidates))

    def choose(self, call: Call) -> Candidate:
        """The next usable one."""
        at = usable_from(self._candidates, self._next)
        self._next = (at + 1) % len(self._candidates)
        return self._candidates[at]


class Hash:
    """The same instance for the same ``call.entity``, in every client, and minimal movement when instances come and go
    (rendezvous hashing, with weights). Calls without an entity go anywhere."""

    def __init__(self, chance: Chance) -> None:
        self._anywhere = Random(chance)
        self._by_node: dict[str, Candidate] = {}
        self._ring = Rendezvous({})

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidates to choose from; what was remembered is forgotten."""
        self._anywhere.update(candidates)
        self._by_node = {candidate.node_id: candidate for candidate in candidates}
        self._ring = Rendezvous({candidate.node_id: candidate.weight for candidate in candidates})

    def choose(self, call: Call) -> Candidate:
        """The entity's instance; while that one is not usable, the entity's next."""
        if call.entity is None:
            return self._anywhere.choose(call)
        first = self._by_node[self._ring.owner(call.entity)]
        if first.usable:
            return first
        others = (self._by_node[node] for node in self._ring.ranking(call.entity))
        return next((candidate for candidate in others if candidate.usable), first)
