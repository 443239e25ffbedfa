"""The strategy that keeps what belongs together in one place: `hash`."""

from __future__ import annotations

from collections.abc import Sequence

from ...contracts import Call, Candidate
from ...routing.affinity import Rendezvous
from .spread import Chance, Random


class Hash:
    """The same instance for the same ``call.entity``, in every client, and minimal movement when instances come and go
    (rendezvous hashing, with weights). Calls without an entity go anywhere. The first call of an entity looks at every
    candidate; then its owner is remembered, for 4096 entities, until the set changes."""

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
        """The entity's instance."""
        if call.entity is None:
            return self._anywhere.choose(call)
        return self._by_node[self._ring.owner(call.entity)]
