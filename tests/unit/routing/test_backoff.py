"""Waits between tries: bounded, growing, and never the same for many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vyked_host.routing.backoff import EACH_S, Backoff

CHANCES = st.floats(0, 1, exclude_max=True)


@given(attempt=st.integers(0, 10_000), chance=CHANCES, crowd=st.integers(1, 100_000))
def test_a_spread_wait_is_anything_up_to_the_ceiling_or_what_the_crowd_needs(
    attempt: int, chance: float, crowd: int
) -> None:
    again = Backoff(first=0.05, most=2.0, factor=1.6)
    assert 0.0 <= again.spread(attempt, chance, crowd) <= min(2.0, max(again.ceiling(attempt), crowd * EACH_S))
    assert again.spread(attempt, 0.5, crowd) * 2 >= again.ceiling(attempt)


def test_a_few_wait_no_longer_for_being_several() -> None:
    again = Backoff(first=0.05, most=2.0)
    assert again.spread(0, 0.5, 5) == again.spread(0, 0.5) == 0.025
    assert again.spread(0, 0.5, 500) == 0.5


@given(attempt=st.integers(0, 10_000), chance=CHANCES)
def test_a_plain_wait_is_at_least_half_of_the_ceiling(attempt: int, chance: float) -> None:
    again = Backoff()
    assert again.ceiling(attempt) / 2 <= again.delay(attempt, chance) <= again.ceiling(attempt) <= again.most
