"""The first by node id."""

from collections.abc import Sequence

from vyked_host.contracts import Balancer, Call, Candidate


class Lowest(Balancer):
    def __init__(self) -> None:
        self._order: list[Candidate] = []

    def update(self, candidates: Sequence[Candidate]) -> None:
        self._order = sorted(candidates, key=lambda each: each.node_id)

    def choose(self, call: Call) -> Candidate:
        return self._order[0]
