"""Who fails again and again is passed over, but never more than half of all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vyked_host.routing.outliers import FAILURES, MOST, panic, pause, speaks_against


def test_five_in_a_row_are_needed() -> None:
    assert pause(FAILURES - 1, 0, 0, 3, 30.0) == 0.0
    assert pause(FAILURES, 0, 0, 3, 30.0) == 30.0


def test_each_time_it_lasts_longer_up_to_a_limit() -> None:
    assert [pause(FAILURES, before, 0, 3, 30.0) for before in (0, 1, 2)] == [30.0, 60.0, 90.0]
    assert pause(FAILURES, 1000, 0, 3, 30.0) == 30.0 * MOST


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 20), st.integers(1, 20))
def test_at_most_half_are_out_and_one_always_stays(failures: int, before: int, out: int, total: int) -> None:
    if pause(failures, before, out, total, 30.0):
        assert out + 1 <= total / 2
        assert out + 1 < total


def test_what_the_application_says_or_refuses_speaks_against_nobody() -> None:
    assert speaks_against("DEADLINE_EXCEEDED", "unknown")
    assert speaks_against("UNAVAILABLE", "unknown")
    assert not speaks_against("UNAVAILABLE", "not_executed")
    assert not speaks_against("APPLICATION", "executed")
    assert not speaks_against("RESOURCE_EXHAUSTED", "not_executed")


def test_the_only_instance_stays() -> None:
    assert pause(100, 0, 0, 1, 30.0) == 0.0


@given(st.integers(0, 20), st.integers(1, 20))
def test_ejecting_alone_never_leads_to_panic(out: int, total: int) -> None:
    if pause(FAILURES, 0, out, total, 30.0):
        assert not panic(out + 1, total)


def test_more_than_half_out_is_panic() -> None:
    assert [panic(out, 4) for out in range(5)] == [False, False, False, True, True]
    assert not panic(0, 0)
