"""The suite for balancers: only candidates, in a time that does not grow with their number, spread over all, affinity where it is
declared."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from ...contracts import Balancer, Call, Candidate, Environment, Fault, ObservesOutcomes, Provider
from .cases import NOT_DECLARED
from .suite import Suite

CALLS = 4000
SLACK = 4
"""Looks by which two choices may differ by chance."""
LOOKED_AT = frozenset(Candidate.__annotations__)


class Node:
    """A candidate to be chosen."""

    def __init__(self, node_id: str, weight: float = 1.0) -> None:
        self.node_id, self.weight = node_id, weight
        self.labels: Mapping[str, str] = {}
        self.in_flight, self.ewma_s, self.usable = 0, 0.001, True


class Watched(Node):
    """A candidate that counts how often it is looked at."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        if name in LOOKED_AT:
            Watched.looks += 1
        return super().__getattribute__(name)


class WatchedAll(Sequence[Watched]):
    """Candidates that are counted when they are taken out, too."""

    def __init__(self, count: int, usable: bool) -> None:
        self._all = [Watched(f"n{at}") for at in range(count)]
        for each in self._all:
            each.usable = usable

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, at: Any) -> Any:
        Watched.looks += 1
        return self._all[at]


def _nodes(count: int) -> list[Node]:
    return [Node(f"n{at}") for at in range(count)]


def _call(entity: str | None) -> Call:
    return Call(id=1, endpoint=0, codec="json", body=b"", deadline=10.0, entity=entity)


@pytest.mark.asyncio
class BalancerConformance(Suite):
    """Inherit, and write the fixture `provider`. `spreads`: equal candidates get equal shares of calls with different
    entities. `affine`: the same entity gets the same candidate, in every client."""

    spreads: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    @pytest_asyncio.fixture
    async def balancer(self, provider: Provider[Balancer], options: msgspec.Struct, env: Environment) -> Balancer:
        """The object under test."""
        return provider.build(options, msgspec.structs.replace(env, rng=random.Random(7)))

    async def test_only_candidates_of_the_last_update_are_chosen(self, balancer: Balancer) -> None:
        chance = random.Random(1)
        everybody = _nodes(12)
        for _ in range(60):
            candidates = chance.sample(everybody, chance.randint(1, 12))
            balancer.update(candidates)
            for at in range(40):
                assert balancer.choose(_call(f"e{at}" if at % 2 else None)) in candidates

    async def test_when_nothing_is_usable_a_candidate_is_chosen_all_the_same(self, balancer: Balancer) -> None:
        candidates = _nodes(3)
        for candidate in candidates:
            candidate.usable = False
        balancer.update(candidates)
        for at in range(20):
            assert balancer.choose(_call(f"e{at}" if at % 2 else None)) in candidates

    @pytest.mark.parametrize("usable", [True, False])
    async def test_a_choice_of_two_hundred_looks_at_no_more_than_one_of_two(
        self, balancer: Balancer, usable: bool
    ) -> None:
        few, many = (_most_looks(balancer, WatchedAll(count, usable)) for count in (2, 200))
        assert many <= few + SLACK, f"a choice looks at candidates {many} times, of two {few} times"

    async def test_equal_candidates_get_equal_shares(self, balancer: Balancer) -> None:
        if not self.spreads:
            pytest.skip(f"{NOT_DECLARED}spreads")
        candidates = _nodes(4)
        balancer.update(candidates)
        counts = Counter(balancer.choose(_call(f"user-{at}")).node_id for at in range(CALLS))
        # fair chance strays by 27 calls; six times that is one failure in a billion runs
        assert all(abs(counts[each.node_id] - CALLS / 4) < 165 for each in candidates), counts

    async def test_outcomes_are_taken_in(self, balancer: Balancer) -> None:
        if not isinstance(balancer, ObservesOutcomes):
            pytest.skip(f"{NOT_DECLARED}ObservesOutcomes")
        candidates = _nodes(3)
        balancer.update(candidates)
        fault = Fault(code="UNAVAILABLE", message="gone", executed="not_sent")
        for at in range(100):
            balancer.observed(candidates[0], fault if at % 2 else None, 0.01)
            assert balancer.choose(_call(None)) in candidates

    async def test_an_outcome_of_a_candidate_that_left_is_harmless(self, balancer: Balancer) -> None:
        if not isinstance(balancer, ObservesOutcomes):
            pytest.skip(f"{NOT_DECLARED}ObservesOutcomes")
        old, new = Node("old"), Node("new")
        balancer.update([old])
        balancer.update([new])
        balancer.observed(old, None, 0.01)
        assert balancer.choose(_call(None)) is new

    async def test_an_entity_has_one_candidate_in_every_client(
        self, provider: Provider[Balancer], options: msgspec.Struct, env: Environment
    ) -> None:
        self._needs_affinity()
        first, second = self._clients(provider, options, env, _nodes(7), _nodes(7)[::-1])
        assert _owners(first) == _owners(second)

    async def test_only_the_entities_of_who_left_move(
        self, provider: Provider[Balancer], options: msgspec.Struct, env: Environment
    ) -> None:
        self._needs_affinity()
        before, after = self._clients(provider, options, env, _nodes(7), _nodes(6))
        moved = [(old, new) for old, new in zip(_owners(before), _owners(after), strict=True) if old != new]
        assert all(old == "n6" for old, _ in moved)

    def _needs_affinity(self) -> None:
        if not self.affine:
            pytest.skip(f"{NOT_DECLARED}affine")

    @staticmethod
    def _clients(
        provider: Provider[Balancer], options: msgspec.Struct, env: Environment, *sets: Sequence[Any]
    ) -> list[Balancer]:
        built = []
        for seed, candidates in enumerate(sets):
            chance = random.Random(seed)
            balancer = provider.build(options, msgspec.structs.replace(env, rng=chance))
            balancer.update(candidates)
            built.append(balancer)
        return built


def _owners(balancer: Balancer) -> list[str]:
    return [balancer.choose(_call(f"e{at}")).node_id for at in range(500)]


def _most_looks(balancer: Balancer, candidates: Sequence[Any]) -> int:
    """The most looks that one choice took, entities known by then."""
    balancer.update(candidates)
    most = 0
    for at in range(200):
        call = _call(f"e{at % 10}" if at % 2 else None)
        Watched.looks = 0
        balancer.choose(call)
        if at >= 100:
            most = max(most, Watched.looks)
    return most
