"""Rendezvous hashing by the book."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.routing.affinity import REMEMBERED, Rendezvous, score
from vyked_host.routing.backoff import Backoff

names = st.dictionaries(st.text(min_size=1, max_size=8), st.floats(0.1, 10), min_size=1, max_size=12)


@given(names, st.text())
def test_the_owner_leads_the_ranking_and_is_remembered(weights, key):
    ring = Rendezvous(weights)
    assert ring.owner(key) == ring.ranking(key)[0] == ring.owner(key)


@given(names, st.text(), st.data())
def test_only_the_keys_of_the_node_that_left_move(weights, key, data):
    gone = data.draw(st.sampled_from(sorted(weights)))
    rest = {node: weight for node, weight in weights.items() if node != gone}
    before = Rendezvous(weights).ranking(key)
    if rest:
        assert Rendezvous(rest).ranking(key) == [node for node in before if node != gone]


def test_weights_are_shares():
    ring = Rendezvous({"small": 1.0, "big": 3.0})
    counts = Counter(ring.owner(f"k{at}") for at in range(4000))
    assert 2850 < counts["big"] < 3150


def test_scores_never_change_between_releases():
    assert score("n1", "ada") == pytest.approx(0.7260912693869311)


def test_without_weight_all_are_equal_and_without_nodes_none_owns():
    assert Rendezvous({"a": 0.0}).owner("k") == "a"
    assert Rendezvous({"a": 0.0, "b": 1.0}).ranking("k") == ["b"]
    with pytest.raises(ValueError, match="there is none"):
        Rendezvous({}).owner("k")


def test_memory_of_owners_is_bounded():
    ring = Rendezvous({"a": 1.0, "b": 1.0})
    for at in range(REMEMBERED + 10):
        ring.owner(str(at))
    assert len(ring._owners) == REMEMBERED


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_half_and_whole_ceiling(attempt, chance):
    backoff = Backoff(first=0.1, most=5.0)
    assert backoff.ceiling(attempt) / 2 <= backoff.delay(attempt, chance) <= backoff.ceiling(attempt) <= 5.0
