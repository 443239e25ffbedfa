"""Load from the command line: what is counted, and from when on."""

import asyncio
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vyked_host.cli.load import Latencies, closed, open_loop
from vyked_host.errors import DeadlineExceeded, Unavailable


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # how long it takes says how busy the machine is
@example([0.25, 0.5], 0.5)
@given(st.lists(st.floats(min_value=1e-6, max_value=100.0), min_size=1), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_exact_to_one_per_cent(seconds, share):
    taken = Latencies()
    for each in seconds:
        taken.add(each)
    rank = next(n for n in range(1, len(seconds) + 1) if n >= share * len(seconds))
    exact = sorted(seconds)[rank - 1]
    assert taken.percentile(share) == pytest.approx(exact, rel=0.0051)
    assert taken.percentile(share) <= taken.most == max(seconds)


def test_nothing_measured_has_no_latency():
    assert Latencies().percentile(0.5) == 0.0


async def test_as_many_calls_as_asked_for_are_in_flight():
    running = seen = 0

    async def once():
        nonlocal running, seen
        running += 1
        seen = max(seen, running)
        await asyncio.sleep(0)
        running -= 1

    found = await closed(once, 7, 0.02)
    assert seen == 7
    assert found.outcomes == {"OK": found.latencies.count}


async def test_outcomes_are_counted_by_their_code():
    turns = iter(range(10**6))

    async def once():
        await asyncio.sleep(0)
        number = next(turns)
        if number % 3 == 1:
            raise Unavailable("away", executed="not_sent")
        if number % 3 == 2:
            raise DeadlineExceeded("late")

    found = await open_loop(once, 1000.0, 0.03)
    assert found.outcomes == {"OK": 10, "UNAVAILABLE": 10, "DEADLINE_EXCEEDED": 10}
    assert found.latencies.count == 30


async def test_what_is_no_failed_call_is_raised():
    async def once():
        raise KeyError("a defect of the caller")

    with pytest.raises(ExceptionGroup) as raised:
        await closed(once, 2, 1.0)
    assert raised.group_contains(KeyError)


async def test_in_an_open_loop_a_stall_counts_for_all_calls_that_it_held_up():
    stalls = iter([0.2])

    async def once():
        time.sleep(next(stalls, 0.0))  # noqa: ASYNC251 - the stall

    found = await open_loop(once, 100.0, 0.1)
    assert found.latencies.count == 10
    assert found.latencies.percentile(0.1) >= 0.1  # all ten were due within 0.1 s, and none could end before 0.2 s
