"""Who is chosen: spread, load, the same choice everywhere, minimal movement."""

import random
from collections import Counter

import pytest

from vyked_host.builtin.balancers.affinity import Hash
from vyked_host.builtin.balancers.load import DECAY_S, LeastPending, PeakEwma
from vyked_host.builtin.balancers.spread import Random, RoundRobin, Weighted, aliases
from vyked_host.contracts import Call, Fault

FAULT = Fault(code="RESOURCE_EXHAUSTED", message="full", executed="not_executed")
SIGMAS = 6
"""A spread that strays by more is no chance: one in a billion runs."""


class Node:
    def __init__(self, node_id, weight=1.0):
        self.node_id, self.weight, self.usable = node_id, weight, True
        self.labels, self.in_flight, self.ewma_s = {}, 0, 0.0


class Time:
    def __init__(self):
        self.seconds = 100.0

    def now(self):
        return self.seconds


def call(entity=None):
    return Call(id=1, endpoint=0, codec="json", body=b"", deadline=1.0, entity=entity)


def nodes(count):
    return [Node(f"n{at}") for at in range(count)]


def ewma(chance):
    return PeakEwma(chance, Time().now)


def balanced(strategy, candidates, seed=1):
    balancer = strategy(random.Random(seed).random)
    balancer.update(candidates)
    return balancer


def shares(balancer, calls=6000):
    return Counter(balancer.choose(call()).node_id for _ in range(calls))


def is_near(count, share, calls=6000):
    return abs(count - calls * share) <= SIGMAS * (calls * share * (1 - share)) ** 0.5


# ---- spread --------------------------------------------------------------------------------------------------------------
def test_round_robin_is_even_and_starts_anywhere():
    candidates = nodes(5)
    assert set(shares(balanced(RoundRobin, candidates), 500).values()) == {100}
    assert len({balanced(RoundRobin, candidates, seed).choose(call()).node_id for seed in range(50)}) > 1


def test_round_robin_goes_on_where_it_was_when_instances_come_and_go():
    candidates = nodes(6)
    balancer = balanced(RoundRobin, candidates)
    while balancer.choose(call()) is not candidates[2]:
        pass
    balancer.update(candidates[:2] + candidates[3:])
    assert balancer.choose(call()) is candidates[3]
    balancer.update(candidates)
    assert balancer.choose(call()) is candidates[4]
    balancer.update(candidates[:2])
    assert balancer.choose(call()) is candidates[0]


@pytest.mark.parametrize("strategy", [Random, Weighted, LeastPending, ewma, Hash])
def test_equal_instances_that_have_nothing_to_do_get_equal_shares(strategy):
    counts = shares(balanced(strategy, nodes(4)))
    assert all(is_near(counts[f"n{at}"], 1 / 4) for at in range(4)), counts


def test_weighted_gives_shares_by_weight():
    weights = (1.0, 2.0, 5.0, 0.0, 0.5)
    counts = shares(balanced(Weighted, [Node(f"n{at}", weight) for at, weight in enumerate(weights)]))
    assert counts["n3"] == 0
    assert all(is_near(counts[f"n{at}"], weight / sum(weights)) for at, weight in enumerate(weights)), counts


def test_of_weights_that_are_all_zero_nobody_is_left_out():
    counts = shares(balanced(Weighted, [Node("a", 0.0), Node("b", 0.0)]))
    assert is_near(counts["a"], 1 / 2)


@pytest.mark.parametrize("seed", range(20))
def test_the_columns_of_an_alias_table_hold_exactly_the_weights(seed):
    chance = random.Random(seed)
    weights = [chance.choice((0.0, 1.0, chance.random() * 100)) for _ in range(chance.randint(1, 40))] + [1.0]
    held = [0.0] * len(weights)
    for own, (share, alias) in enumerate(aliases(weights)):
        held[own] += share
        held[alias] += 1.0 - share
    scale = sum(weights) / len(weights)
    assert held == pytest.approx([weight / scale for weight in weights])


# ---- affinity --------------------------------------------------------------------------------------------------------------
def test_hash_is_even_over_entities():
    balancer = balanced(Hash, nodes(4))
    counts = Counter(balancer.choose(call(f"user-{at}")).node_id for at in range(6000))
    assert all(is_near(count, 1 / 4) for count in counts.values())


def test_hash_chooses_the_same_in_every_client():
    one, other = balanced(Hash, nodes(7), seed=1), balanced(Hash, nodes(7)[::-1], seed=2)
    assert all(one.choose(call(f"e{at}")).node_id == other.choose(call(f"e{at}")).node_id for at in range(200))


def test_hash_moves_only_the_keys_of_the_node_that_went():
    before, after = balanced(Hash, nodes(5)), balanced(Hash, nodes(5)[:-1])
    for at in range(1000):
        old, new = before.choose(call(f"e{at}")).node_id, after.choose(call(f"e{at}")).node_id
        assert new == old or old == "n4"


# ---- load --------------------------------------------------------------------------------------------------------------
def test_least_pending_shuns_who_is_busy_for_its_weight():
    busy, idle, strong = Node("busy"), Node("idle"), Node("strong", weight=4.0)
    busy.in_flight, strong.in_flight = 2, 4
    counts = shares(balanced(LeastPending, [busy, idle, strong]))
    assert counts["busy"] == 0
    assert counts["idle"] > counts["strong"] > 0


def test_least_pending_takes_equally_busy_ones_by_weight():
    counts = shares(balanced(LeastPending, [Node("one"), Node("three", weight=3.0)]))
    assert is_near(counts["three"], 3 / 4)


@pytest.mark.parametrize("strategy", [LeastPending, ewma])
def test_where_there_is_one_it_is_taken(strategy):
    only = Node("only")
    assert balanced(strategy, [only]).choose(call()) is only


def test_the_load_of_many_servers_stays_flat_when_the_less_busy_of_two_is_taken():
    """The point of two choices: the busiest of n is log log n above the others, of one choice log n / log log n."""

    def busiest(strategy):
        candidates = nodes(100)
        balancer = balanced(strategy, candidates)
        for _ in range(1000):
            balancer.choose(call()).in_flight += 1
        return max(each.in_flight for each in candidates)

    assert busiest(LeastPending) <= 13 < 17 <= busiest(Random)


class Measured:
    """The balancer `ewma` over some instances, and the time it sees."""

    def __init__(self, count):
        self.time, self.nodes = Time(), nodes(count)
        self.balancer = PeakEwma(random.Random(3).random, self.time.now)
        self.balancer.update(self.nodes)

    def answers(self, node, seconds, times=1, fault=None):
        for _ in range(times):
            self.time.seconds += 0.01
            self.balancer.observed(node, fault, seconds)


def test_ewma_goes_where_answers_come_soonest_for_what_is_in_flight():
    bench = Measured(2)
    fast, slow = bench.nodes
    bench.answers(fast, 0.001)
    bench.answers(slow, 0.004)
    assert set(shares(bench.balancer, 100)) == {"n0"}
    fast.in_flight = 9
    assert set(shares(bench.balancer, 100)) == {"n1"}


def test_ewma_takes_one_slow_answer_at_its_word_and_many_quick_ones_to_forget_it():
    bench = Measured(2)
    node, _ = bench.nodes
    bench.answers(node, 0.001, times=50)
    bench.answers(node, 2.0)
    assert node.ewma_s == 2.0
    bench.answers(node, 0.001)
    assert 1.9 < node.ewma_s < 2.0
    bench.answers(node, 0.001, times=round(8 * DECAY_S / 0.01))
    assert node.ewma_s < 0.003


def test_ewma_comes_back_to_who_was_slow_by_and_by_though_nobody_asks_it():
    bench = Measured(2)
    fast, slow = bench.nodes
    bench.answers(fast, 0.01, times=10)
    bench.answers(slow, 1.0)
    fast.in_flight = 1
    assert set(shares(bench.balancer, 50)) == {"n0"}
    for _ in range(60):
        bench.time.seconds += 1.0
        bench.balancer.observed(fast, None, 0.01)
    assert set(shares(bench.balancer, 50)) == {"n1"}


def test_ewma_is_not_drawn_to_who_refuses_quickly():
    bench = Measured(2)
    well, full = bench.nodes
    bench.answers(well, 0.01, times=20)
    bench.answers(full, 0.02, times=20)
    bench.answers(full, 0.0001, times=100, fault=FAULT)
    assert set(shares(bench.balancer, 100)) == {"n0"}


def test_ewma_asks_a_new_one_once_and_waits_for_its_answer():
    bench = Measured(2)
    known, new = bench.nodes
    bench.answers(known, 0.01)
    assert set(shares(bench.balancer, 20)) == {"n1"}
    new.in_flight = 1
    assert set(shares(bench.balancer, 20)) == {"n0"}
