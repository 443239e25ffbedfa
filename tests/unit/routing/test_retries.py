"""Whether and when a call is made again, and how often in all."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from vyked_host.errors import Code, Executed
from vyked_host.routing.budget import WINDOW_S, RetryBudget
from vyked_host.routing.candidates import another
from vyked_host.routing.retries import Failure, Retries, may_run_twice
from vyked_host.routing.window import Window

RETRIES = Retries()
codes, fates = st.sampled_from(get_args(Code)), st.sampled_from(get_args(Executed))


def pause(
    code: Code, executed: Executed, *, attempt: int = 1, repeatable: bool = False, elsewhere: bool = True,
    chance: float = 0.5, retry_after: float | None = None,
) -> float | None:  # fmt: skip
    failure = Failure(code=code, executed=executed, retry_after=retry_after)
    return RETRIES.pause(failure, attempt=attempt, repeatable=repeatable, elsewhere=elsewhere, chance=chance)


# ---- whether ---------------------------------------------------------------------------------------------------------
def test_what_never_ran_is_tried_elsewhere_at_once_for_every_method() -> None:
    assert pause("UNAVAILABLE", "not_sent") == 0.0
    assert pause("UNAVAILABLE", "not_executed") == 0.0


@given(codes, st.booleans(), st.booleans())
def test_what_may_have_run_is_repeated_only_where_the_method_may_run_twice(
    code: Code, elsewhere: bool, may: bool
) -> None:
    again = pause(code, "unknown", repeatable=may, elsewhere=elsewhere)
    assert (again is not None) == (may and code == "UNAVAILABLE")


@given(codes, st.booleans())
def test_what_ran_is_never_repeated(code: Code, may: bool) -> None:
    assert pause(code, "executed", repeatable=may) is None


@given(codes, fates, st.integers(3, 9))
def test_the_last_attempt_is_the_last(code: Code, executed: Executed, attempt: int) -> None:
    assert pause(code, executed, attempt=attempt, repeatable=True) is None


def test_the_overloaded_are_not_asked_again_but_others_are() -> None:
    assert pause("RESOURCE_EXHAUSTED", "not_executed", elsewhere=False, retry_after=0.1) is None
    assert pause("RESOURCE_EXHAUSTED", "not_executed", elsewhere=True, retry_after=0.1) == 0.1
    assert pause("RESOURCE_EXHAUSTED", "unknown", repeatable=True) is None


@given(st.floats(0, 1, exclude_max=True))
def test_the_held_up_are_asked_again_no_earlier_than_they_say_and_spread(chance: float) -> None:
    def again(executed: Executed, *, elsewhere: bool) -> float | None:
        failure = Failure(code="RESOURCE_EXHAUSTED", executed=executed, retry_after=0.1, passing=True)
        return RETRIES.pause(failure, attempt=1, repeatable=False, elsewhere=elsewhere, chance=chance)

    assert again("not_executed", elsewhere=False) == 0.1 * (1.0 + chance)
    assert again("not_executed", elsewhere=True) == 0.1
    assert again("unknown", elsewhere=False) is None


def test_a_key_helps_only_where_results_are_kept_by_it() -> None:
    assert may_run_twice(idempotent=True, has_key=False)
    assert may_run_twice(idempotent=False, has_key=True, keyed=True)
    assert not may_run_twice(idempotent=False, has_key=True)
    assert not may_run_twice(idempotent=False, has_key=False, keyed=True)


# ---- when ------------------------------------------------------------------------------------------------------------
@given(st.floats(0, 1, exclude_max=True))
def test_the_second_pause_is_twice_the_first_give_or_take_a_fifth(chance: float) -> None:
    first = pause("UNAVAILABLE", "not_sent", elsewhere=False, chance=chance)
    second = pause("UNAVAILABLE", "not_sent", attempt=2, chance=chance)
    assert first is not None
    assert second is not None
    assert 0.04 <= first <= 0.06
    assert 0.08 <= second <= 0.12


def test_no_pause_is_over_a_second_by_more_than_a_fifth() -> None:
    patient = Retries(attempts=50)
    failure = Failure(code="UNAVAILABLE", executed="not_sent")
    assert patient.pause(failure, attempt=40, repeatable=False, elsewhere=True, chance=0.5) == 1.0


def test_what_the_instance_says_goes_before_the_clients_own_pause() -> None:
    assert pause("UNAVAILABLE", "not_executed", retry_after=0.7) == 0.7
    assert pause("UNAVAILABLE", "not_executed", attempt=2, retry_after=0.0) == 0.0


# ---- how often in all ------------------------------------------------------------------------------------------------
def test_without_calls_three_a_second_are_granted() -> None:
    budget = RetryBudget(0.2, 3.0, 0.0)
    assert sum(budget.take(0, 0.0) for _ in range(1000)) == 30


def test_a_fifth_of_the_calls_comes_on_top() -> None:
    budget = RetryBudget(0.2, 3.0, 0.0)
    assert sum(budget.take(1000, 1.0) for _ in range(1000)) == 230


def test_calls_of_long_ago_grant_nothing_now() -> None:
    budget = RetryBudget(0.2, 0.0, 0.0)
    assert sum(budget.take(1_000_000, 100_000.0) for _ in range(1000)) == 20  # 100 in ten seconds


def test_what_was_granted_is_forgotten_with_its_calls() -> None:
    budget = RetryBudget(0.0, 3.0, 0.0)
    assert sum(budget.take(0, 0.0) for _ in range(100)) == 30
    assert not budget.take(0, WINDOW_S)
    assert sum(budget.take(0, 2 * WINDOW_S) for _ in range(100)) == 30


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), max_size=60))
def test_never_more_than_the_share_and_the_rate_whatever_happens(steps: list[tuple[float, int]]) -> None:
    budget, now, calls = RetryBudget(0.2, 3.0, 0.0), 0.0, 0
    granted: list[float] = []
    made: list[tuple[float, int]] = []
    for elapsed, more in steps:
        now, calls = now + elapsed, calls + more
        made.append((now, more))
        granted += [now for _ in range(more) if budget.take(calls, now)]
        # one slot more than the window is looked at, for calls and for attempts alike
        lately = sum(count for at, count in made if at > now - 1.1 * WINDOW_S - 3.0)
        assert sum(at > now - WINDOW_S for at in granted) <= 0.2 * lately + 30


# ---- windows and instances -------------------------------------------------------------------------------------------
@given(st.lists(st.floats(0, 30), max_size=50))
def test_a_window_has_what_is_younger_and_nothing_older_than_a_tenth_more(elapsed: list[float]) -> None:
    window, now, at = Window(10.0), 0.0, list[float]()
    for each in elapsed:
        now += each
        window.add(now, 1, 1)
        at.append(now)
        seen, apart = window.sums(now)
        assert seen == apart
        assert sum(when > now - 10.0 for when in at) <= seen <= sum(when >= now - 11.0 for when in at)


class _Candidate:
    def __init__(self, node_id: str, usable: bool = True) -> None:
        self.node_id, self.usable = node_id, usable


def test_a_retry_goes_by_chance_to_one_that_was_not_tried() -> None:
    a, b, c, d = _Candidate("a"), _Candidate("b", usable=False), _Candidate("c"), _Candidate("d")
    assert another([a, b, c, d], ["a"], 0.0) is c
    assert another([a, b, c, d], ["a"], 0.99) is d
    assert another([a, b, c, d], ["a", "c", "d"], 0.5) is None
