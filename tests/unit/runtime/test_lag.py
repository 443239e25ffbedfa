"""The lag of the event loop: what counts as late, what is told, and how often."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from vyked_host.runtime.lag import BLOCKED_S, LATE_S, SPAN_S, TICK_S, TOLD_EVERY_S, LoopLag
from vyked_host.testing import eventually

LOG = logging.getLogger("test")


def test_a_tick_that_is_a_tenth_of_a_second_late_counts_and_one_that_is_less_does_not() -> None:
    lag = LoopLag()
    for late in (0.0, LATE_S / 2, LATE_S, 3.0, 0.0):
        lag.tick(late, 0.0)
    assert lag.late == 2


def test_the_worst_of_half_a_second_is_shown_and_a_blockage_at_once() -> None:
    measured: list[float] = []
    lag = LoopLag(measured.append)
    for _ in range(round(SPAN_S / TICK_S)):
        lag.tick(0.01, 0.0)
    assert measured == [0.01]
    lag.tick(1.5, 0.0)
    assert lag.lag_s == 1.5
    for _ in range(round(SPAN_S / TICK_S) + 1):
        lag.tick(0.0, 0.0)
    assert lag.lag_s == 0.0


def test_it_is_told_with_all_that_came_since_it_was_told_last(caplog: pytest.LogCaptureFixture) -> None:
    lag, now = LoopLag(log=LOG), 100.0
    for late in (0.2, 0.7, 0.3):
        lag.tick(late, now)
    lag.tick(0.0, now + TOLD_EVERY_S)
    lag.tick(0.0, now + 2 * TOLD_EVERY_S)
    assert [record.args for record in caplog.records] == [("once", 0.2), ("2 times", 0.7)]


async def test_a_blockage_is_known_in_the_turn_that_follows_it() -> None:
    lag = LoopLag()
    measuring = asyncio.ensure_future(lag.measure())
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    behind: list[float] = []

    def blocks() -> None:
        loop.call_soon(lambda: behind.append(lag.behind(loop.time())))
        time.sleep(0.2)

    loop.call_soon(blocks)
    await eventually(lambda: lag.late)
    measuring.cancel()
    assert behind[0] >= 0.2 - TICK_S - 0.01
    assert lag.lag_s < BLOCKED_S
    assert lag.late == 1
