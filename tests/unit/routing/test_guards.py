"""When a breaker opens and closes, and how many calls a second a bucket lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.routing.breaker import PROBE_S, Breaker, BreakerRule, has_failed
from vyked_host.routing.rate import TokenBucket

RULE = BreakerRule(failures=0.5, of=4, open_for_s=10.0, within_s=60.0)


def run(breaker: Breaker, now: float, *failed: bool | None) -> list[bool]:
    return [breaker.leave(breaker.enter(), each, now) for each in failed]


# ---- breaker ---------------------------------------------------------------------------------------------------------
def test_so_many_calls_are_needed_before_it_opens() -> None:
    breaker = Breaker(RULE)
    assert run(breaker, 0.0, True, True, True) == [False, False, False]
    assert breaker.wait(0.0) == 0.0
    assert run(breaker, 0.0, True) == [True]
    assert breaker.wait(0.0) == 10.0


def test_a_smaller_share_of_failures_leaves_it_closed() -> None:
    breaker = Breaker(RULE)
    run(breaker, 0.0, *[False, False, True] * 50)
    assert breaker.wait(0.0) == 0.0


def test_what_is_over_a_minute_old_does_not_count() -> None:
    breaker = Breaker(RULE)
    run(breaker, 0.0, True, True, True)
    run(breaker, 67.0, True)
    assert breaker.wait(67.0) == 0.0


def test_one_call_is_let_through_and_its_success_closes_it() -> None:
    breaker = Breaker(RULE)
    run(breaker, 0.0, *[True] * 4)
    assert breaker.wait(9.0) == 1.0
    assert breaker.wait(10.0) == 0.0
    assert breaker.enter()
    assert breaker.wait(10.0) == PROBE_S
    assert not breaker.leave(True, False, 11.0)
    assert run(breaker, 11.0, True, True, True) == [False] * 3  # counted anew


def test_its_failure_keeps_it_open() -> None:
    breaker = Breaker(RULE)
    run(breaker, 0.0, *[True] * 4)
    assert run(breaker, 12.0, True) == [True]
    assert breaker.wait(12.0) == 10.0


def test_a_call_that_says_nothing_lets_the_next_one_decide() -> None:
    breaker = Breaker(RULE)
    run(breaker, 0.0, *[True] * 4)
    assert run(breaker, 12.0, None) == [False]
    assert breaker.wait(12.0) == 0.0
    assert breaker.enter()


def test_what_began_before_it_opened_does_not_decide() -> None:
    breaker = Breaker(RULE)
    late = breaker.enter()
    run(breaker, 0.0, *[True] * 4)
    assert not breaker.leave(late, False, 1.0)
    assert breaker.wait(1.0) == 9.0


def test_what_the_method_says_itself_is_no_failure_of_it() -> None:
    assert [has_failed(code) for code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL")] == [True] * 3
    assert [has_failed(code) for code in ("APPLICATION", "INVALID_ARGUMENT", "NOT_FOUND")] == [False] * 3
    assert [has_failed(code) for code in ("RESOURCE_EXHAUSTED", "CANCELLED")] == [None] * 2


# ---- rate ------------------------------------------------------------------------------------------------------------
def test_a_bucket_is_full_at_first_and_says_when_to_come_again() -> None:
    bucket = TokenBucket(10.0, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0] * 3
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.05) == pytest.approx(0.05)
    assert bucket.take(0.1 + 1e-9) == 0.0


@given(st.lists(st.floats(0, 5), max_size=100), st.floats(0.1, 50), st.integers(1, 20))
def test_never_more_than_the_rate_and_the_burst(pauses: list[float], per_second: float, burst: int) -> None:
    bucket, now, taken = TokenBucket(per_second, burst, 0.0), 0.0, 0
    for each in pauses:
        now += each
        taken += bucket.take(now) == 0.0
        assert taken <= burst + per_second * now + 1e-6
