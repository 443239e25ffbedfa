"""Who is chosen: spread, usability, the same choice everywhere, minimal movement."""

import random
from collections import Counter

import pytest

from vyked_host.builtin.balancers.strategies import Hash, LeastPending, Random, RoundRobin
from vyked_host.contracts import Call


class Node:
    def __init__(self, node_id, weight=1.0, usable=True):
        self.node_id, self.weight, self.usable = node_id, weight, usable
        self.labels, self.in_flight, self.ewma_s = {}, 0, 0.0


def call(entity=None):
    return Call(id=1, endpoint=0, codec="json", body=b"", deadline=1.0, entity=entity)


def nodes(count):
    return [Node(f"n{at}") for at in range(count)]


def balanced(strategy, candidates, seed=1):
    balancer = strategy(random.Random(seed).random)
    balancer.update(candidates)
    return balancer


@pytest.mark.parametrize("strategy", [Random, RoundRobin, LeastPending, Hash])
def test_what_is_not_usable_is_passed_over_until_nothing_else_is_left(strategy):
    candidates = nodes(4)
    balancer = balanced(strategy, candidates)
    for node in candidates[1:]:
        node.usable = False
    assert {balancer.choose(call(f"e{at}")).node_id for at in range(50)} == {"n0"}
    candidates[0].usable = False
    assert balancer.choose(call("e")) in candidates


def test_round_robin_is_even_and_starts_anywhere():
    candidates = nodes(5)
    balancer = balanced(RoundRobin, candidates)
    assert set(Counter(balancer.choose(call()).node_id for _ in range(500)).values()) == {100}
    assert len({balanced(RoundRobin, candidates, seed).choose(call()).node_id for seed in range(50)}) > 1


@pytest.mark.parametrize("strategy", [Random, LeastPending, Hash])
def test_random_is_even(strategy):
    balancer = balanced(strategy, nodes(4))
    counts = Counter(balancer.choose(call()).node_id for _ in range(4000))
    assert all(850 < count < 1150 for count in counts.values())  # five standard deviations: 137


def test_hash_is_even_over_entities():
    balancer = balanced(Hash, nodes(4))
    counts = Counter(balancer.choose(call(f"user-{at}")).node_id for at in range(4000))
    assert all(850 < count < 1150 for count in counts.values())


def test_hash_chooses_the_same_in_every_client():
    one, other = balanced(Hash, nodes(7), seed=1), balanced(Hash, nodes(7)[::-1], seed=2)
    assert all(one.choose(call(f"e{at}")).node_id == other.choose(call(f"e{at}")).node_id for at in range(200))


def test_hash_moves_only_the_keys_of_the_node_that_went():
    before, after = balanced(Hash, nodes(5)), balanced(Hash, nodes(5)[:-1])
    for at in range(1000):
        old, new = before.choose(call(f"e{at}")).node_id, after.choose(call(f"e{at}")).node_id
        assert new == old or old == "n4"


def test_least_pending_shuns_who_is_busy_for_its_weight():
    busy, idle, strong = Node("busy"), Node("idle"), Node("strong", weight=4.0)
    busy.in_flight, strong.in_flight = 2, 4
    balancer = balanced(LeastPending, [busy, idle, strong])
    counts = Counter(balancer.choose(call()).node_id for _ in range(3000))
    assert counts["busy"] == 0
    assert counts["idle"] > counts["strong"] > 0


def test_least_pending_has_no_choice_with_one():
    only = Node("only")
    assert balanced(LeastPending, [only]).choose(call()) is only
