"""The limit against servers on paper. Ten workers that take 50 ms do 200 calls a second: that is the capacity here, unless said."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf

import pytest

from vyked_host.routing.concurrency import ENOUGH, LEAST, Concurrency, Pace, Seen

from .model_server import FREE, Pool, Rates, loop

Work = Callable[[random.Random, int, float], float]
FIVEFOLD: Rates = [(0, 100), (3, 1000), (13, 100)]
"""Half the capacity, five times it for ten seconds, half of it again."""


def fixed(seconds: float) -> Work:
    return lambda _chance, _endpoint, _now: seconds


WORK: dict[str, Work] = {
    "fixed": fixed(0.05),
    "even": lambda chance, _endpoint, _now: chance.uniform(0.04, 0.06),
    "log-normal": lambda chance, _endpoint, _now: 0.05 * chance.lognormvariate(-0.18, 0.6),
    "exponential": lambda chance, _endpoint, _now: chance.expovariate(20),
    "two kinds": lambda chance, _endpoint, _now: 0.3 if chance.random() < 0.1 else 0.0222,
}


@pytest.fixture(params=WORK)
def work(request: pytest.FixtureRequest) -> Work:
    return WORK[request.param]


# ---- overload --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_times_the_load_costs_no_goodput_and_no_call_more_than_twice_its_time(work: Work, seed: int) -> None:
    run = Pool([(FIVEFOLD, 10)], work, seed=seed).until(16.0)
    assert run.goodput(5, 13) >= 0.9 * 200
    assert run.took(5, 13) <= 2 * run.took(0, 3)
    assert run.refused(0, 3) == 0.0


def test_within_three_seconds_the_limit_is_near_what_the_workers_can_do(work: Work) -> None:
    """What had been let in before the limit was found has to be done first."""
    run = Pool([(FIVEFOLD, 10)], work).until(9.0)
    assert max(limit for now, limit in run.limits if now > 6) <= 3 * 10


def test_after_the_load_nobody_is_refused_and_the_limit_is_what_it_was_within_five_seconds(work: Work) -> None:
    run = Pool([(FIVEFOLD, 10)], work).until(20.0)
    assert run.refused(13.5, 20) == 0.0
    assert [limit for now, limit in run.limits if now > 18] == [1024.0] * len([1 for now, _ in run.limits if now > 18])


def test_three_minutes_of_overload_are_like_one(work: Work) -> None:
    """What is usual is not learnt from calls that wait."""
    run = Pool([([(0, 100), (3, 400)], 10)], work).until(180.0)
    assert run.goodput(150, 180) >= 0.9 * 200
    assert run.took(150, 180) <= 1.25 * run.took(10, 40)


def test_a_node_that_starts_into_overload_finds_its_limit_too() -> None:
    run = Pool([([(0, 1000)], 10)], fixed(0.05)).until(10.0)
    assert run.goodput(2, 10) >= 0.9 * 200
    assert run.took(2, 10) <= 0.125


@pytest.mark.parametrize("seconds", [0.0005, 0.002, 0.005, 0.02])
def test_on_a_loop_that_computes_calls_wait_for_a_fraction_of_a_second_and_goodput_stays(seconds: float) -> None:
    """Its queue is in the sockets, where nobody sees it but by how late the loop is."""
    capacity = 1 / seconds
    run = loop([(0, 0.5 * capacity), (3, 5 * capacity), (13, 0.5 * capacity)], seconds, 18.0)
    assert run.goodput(6, 13) >= 0.85 * capacity  # refusing costs it something, the less the more a call computes
    assert run.took(6, 13) <= 0.7
    assert run.refused(0, 3) == 0.0
    assert run.refused(14, 18) == 0.0


# ---- what is not overload --------------------------------------------------------------------------------------------
def test_calls_that_only_take_long_are_never_refused() -> None:
    run = Pool([([(0, 20), (3, 200)], FREE)], lambda chance, *_: 5.0 if chance.random() < 0.1 else 0.05).until(20.0)
    assert run.refused() == 0.0


def test_bursts_are_never_refused() -> None:
    """Four hundred at once, each second, and nobody waits for anything."""
    run = Pool([([(each / 2, 800 * (1 - each % 2)) for each in range(20)], FREE)], fixed(0.1)).until(10.0)
    assert run.refused() == 0.0


def test_a_machine_with_much_else_to_do_is_not_overload() -> None:
    """For five seconds everything comes up to 60 ms late, as for a process that gets its processor late."""
    run = Pool([([(0, 200)], FREE)], lambda chance, _, now: 0.02 + 0.06 * chance.random() * (5 < now < 10)).until(12.0)
    assert run.refused() == 0.0


def test_one_endpoint_whose_workers_are_stuck_takes_nothing_from_another() -> None:
    def work(_chance: random.Random, endpoint: int, now: float) -> float:
        return 0.005 if endpoint == 0 else 0.05 if now < 5 else 2.0

    run = Pool([([(0, 300)], FREE), ([(0, 50)], 10)], work).until(15.0)
    assert run.refused(endpoint=0) == 0.0
    assert run.limit.limit == 1024


def test_long_calls_keep_their_place_beside_those_that_are_too_many() -> None:
    """Ten a second that take ten seconds each, beside five times what the others can do."""

    def work(_chance: random.Random, endpoint: int, _now: float) -> float:
        return 0.05 if endpoint == 0 else 10.0

    run = Pool([([(0, 100), (3, 1000), (10, 100)], 10), ([(0, 10)], FREE)], work).until(16.0)
    assert run.goodput(4, 10) >= 0.9 * 200
    assert run.refused(11, 16, endpoint=0) == 0.0
    assert run.refused(11, 16, endpoint=1) == 0.0


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_work_that_takes_longer_from_one_day_to_the_next_is_refused_for_a_moment_only(spread: float) -> None:
    """Three times as long, though nothing waits: a cut shows that it is no use, and is taken back."""

    def work(chance: random.Random, _endpoint: int, now: float) -> float:
        return (0.05 if now < 5 else 0.15) * chance.lognormvariate(0, spread)

    run = Pool([([(0, 400)], FREE)], work).until(20.0)
    assert run.refused(0, 5) == 0.0
    assert run.refused(7, 20) <= 0.01
    assert run.paces[0].usual_s > 0.05


# ---- few samples -----------------------------------------------------------------------------------------------------
def seen(now: float, ran: int = 0, late_s: float = 0.0, refused: bool = False) -> Seen:
    return Seen(now=now, late_s=late_s, ran=ran, refused=refused, older=lambda _seconds: 0)


def ends(pace: Pace, count: int, seconds: float) -> None:
    pace.ended, pace.total_s, pace.fastest_s = count, count * seconds, seconds if count else inf


def known(limit: Concurrency, pace: Pace) -> float:
    """A second in which calls take 50 ms; its end."""
    for tick in range(1, 21):
        ends(pace, ENOUGH, 0.05)
        limit.look([pace], seen(tick * 0.05, ran=10))
    return 1.0


def test_a_few_slow_calls_say_nothing() -> None:
    limit, pace = Concurrency(100, 0.0), Pace()
    now = known(limit, pace)
    for tick in range(1, 100):
        ends(pace, (ENOUGH - 1) * (tick % 20 == 0), 5.0)  # so many in a second
        limit.look([pace], seen(now + tick * 0.05, ran=9))
    assert limit.limit == 100


def test_one_moment_is_not_enough_unless_it_is_blatant() -> None:
    limit, pace = Concurrency(100, 0.0), Pace()
    now = known(limit, pace)
    for tick, took in enumerate((0.09, 0.05, 0.09, 0.05), start=1):
        ends(pace, ENOUGH, took)
        limit.look([pace], seen(now + tick * 0.05, ran=50))
    assert limit.limit == 100
    ends(pace, ENOUGH, 0.5)
    limit.look([pace], seen(now + 0.25, ran=50))
    assert limit.limit < 100


def test_one_late_turn_of_the_loop_is_not_enough_and_being_late_all_the_time_is() -> None:
    limit, pace = Concurrency(100, 0.0), Pace()
    now = known(limit, pace)
    for late_s, ticks in ((0.5, 1), (0.0, 1), (0.5, 1), (0.0, 1)):
        now += ticks * 0.05 + late_s
        ends(pace, ENOUGH, 0.05)
        limit.look([pace], seen(now, ran=50, late_s=late_s))
    assert limit.limit == 100
    for _ in range(2):
        now += 0.05 + 0.3
        ends(pace, ENOUGH, 0.05)
        limit.look([pace], seen(now, ran=50, late_s=0.3))
    assert limit.limit < 100


def test_calls_that_fail_are_work_done_and_say_nothing_of_how_long_it_takes() -> None:
    limit, pace = Concurrency(100, 0.0), Pace()
    now = known(limit, pace)
    for tick in range(1, 20):
        pace.ended, pace.total_s = 10 * ENOUGH, 10 * ENOUGH * 0.5
        limit.look([pace], seen(now + tick * 0.05, ran=50))
    assert limit.limit == 100
    for tick in range(20, 22):
        pace.ended, pace.total_s = 10 * ENOUGH, 10 * ENOUGH * 0.5
        limit.look([pace], seen(now + (tick - 19) * 0.5 + 1, ran=50, late_s=0.4))
    assert limit.limit == 20  # a hundred in 0.5 s, of which one turn may have a tenth of a second


def test_a_cut_is_judged_by_calls_that_began_after_it() -> None:
    limit, pace = Concurrency(100, 0.0), Pace()
    now = known(limit, pace)
    ends(pace, ENOUGH, 0.5)
    limit.look([pace], seen(now + 0.05, ran=50))
    assert pace.since == now + 0.05


def test_no_limit_is_cut_below_the_least() -> None:
    limit, pace = Concurrency(inf, 0.0), Pace()
    now = known(limit, pace)
    for turn in range(1, 10):
        ends(pace, ENOUGH, 0.5)
        limit.look([pace], seen(now + turn, ran=5, late_s=0.95))
    assert limit.limit == LEAST


def test_a_limit_of_the_configuration_that_is_lower_holds() -> None:
    limit = Concurrency(2, 0.0)
    limit.look([Pace()], seen(10.0))
    assert limit.limit == 2
