"""Rendezvous hashing: which node owns a key.

Every client computes the same owner from the same node ids and weights, without talking to anybody. When a node leaves,
only its own keys move; when one comes, it takes only the keys that it now owns. A node of weight 2 owns twice as many
keys as one of weight 1 (logarithmic scores: https://www.snia.org/sites/default/files/SDC15_presentations/dist_sys/Jason_Resch_New_Consistent_Hashings_Rev.pdf).
Scores take O(nodes) a key, so owners are remembered; a new object is made whenever the set of nodes changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b

REMEMBERED = 4096
"""Keys whose owner is remembered, at most."""

_SPAN = float(1 << 64)


class Rendezvous:
    """Owners of keys among the nodes of `weights` (node id -> weight above 0; others own nothing while any is above)."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = {node: weight for node, weight in weights.items() if weight > 0} or dict.fromkeys(weights, 1.0)
        self._owners: dict[str, str] = {}

    def owner(self, key: str) -> str:
        """The node that owns `key`. Raises ValueError when there is no node."""
        known = self._owners.get(key)
        if known is not None:
            return known
        if not self._weights:
            raise ValueError("no node can own a key: there is none")
        found = max(self._weights, key=lambda node: (score(node, key, self._weights[node]), node))
        self._remember(key, found)
        return found

    def ranking(self, key: str) -> list[str]:
        """All nodes, the owner of `key` first, then who would own it if that one were gone, and so on."""
        return sorted(self._weights, key=lambda node: (score(node, key, self._weights[node]), node), reverse=True)

    def _remember(self, key: str, node: str) -> None:
        if len(self._owners) >= REMEMBERED:
            del self._owners[next(iter(self._owners))]  # the oldest: keys come in bursts
        self._owners[key] = node


def score(node: str, key: str, weight: float = 1.0) -> float:
    """How strongly `node` claims `key`: the highest claim owns it. The same in every process and release."""
    digest = blake2b(key.encode(), digest_size=8, key=blake2b(node.encode(), digest_size=32).digest()).digest()
    uniform = (int.from_bytes(digest, "big") + 0.5) / _SPAN
    return -weight / math.log(uniform) if uniform < 1.0 else math.inf
