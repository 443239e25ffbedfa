"""One sweep for all timers: never early, at most a sweep late, nothing left behind."""

import asyncio
import time

import pytest
import uvloop

from vyked_host.runtime.clock import HELD_UP_S, SWEEP_S, LoopClock
from vyked_host.testing.waiting import eventually


@pytest.mark.parametrize("kind", ["at", "expire"])
async def test_each_comes_after_its_time_and_once(kind: str) -> None:
    clock = LoopClock(asyncio.get_running_loop())
    setting = getattr(clock, kind)
    came: list[tuple[str, float]] = []
    began = clock.now()
    for name, after in (("late", 0.2), ("soon", 0.05), ("now", 0.0)):
        setting(began + after, lambda name=name: came.append((name, clock.now() - began)))
    await eventually(lambda: len(came) == 3)
    assert [name for name, _ in came] == ["now", "soon", "late"]
    assert all(at >= after for (_, at), after in zip(came, (0.0, 0.05, 0.2), strict=True))


@pytest.mark.parametrize("kind", ["at", "expire"])
async def test_what_was_cancelled_never_comes(kind: str) -> None:
    clock = LoopClock(asyncio.get_running_loop())
    setting = getattr(clock, kind)
    came: list[str] = []
    cancel = setting(clock.now() + 0.01, lambda: came.append("cancelled"))
    setting(clock.now() + 2 * SWEEP_S, lambda: came.append("kept"))
    cancel()
    cancel()
    await eventually(lambda: came == ["kept"])


async def test_closing_forgets_all() -> None:
    clock = LoopClock(asyncio.get_running_loop())
    came: list[str] = []
    clock.at(clock.now(), lambda: came.append("no"))
    clock.expire(clock.now(), lambda: came.append("no"))
    clock.close()
    await asyncio.sleep(2 * SWEEP_S)
    assert came == []


def test_time_is_fine_on_every_loop_and_agrees_with_it() -> None:
    for factory in (asyncio.new_event_loop, uvloop.new_event_loop):
        loop = factory()
        try:
            clock = LoopClock(loop)
            seen = {clock.now() for _ in range(1000)}
            assert len(seen) > 100
            assert abs(clock.now() - loop.time()) < 1.0
        finally:
            loop.close()


async def test_what_is_over_when_the_process_was_held_up_has_a_moment_more_but_only_one() -> None:
    clock = LoopClock(asyncio.get_running_loop())
    came: list[str] = []
    cancel = clock.expire(clock.now() + 2 * SWEEP_S, lambda: came.append("answered in time"))
    clock.expire(clock.now() + 2 * SWEEP_S, lambda: came.append("not answered"))
    clock.at(clock.now() + 2 * SWEEP_S, lambda: came.append("alive"))
    await asyncio.sleep(0)
    time.sleep(2 * HELD_UP_S)  # noqa: ASYNC251 - the machine has no processor for this loop
    await asyncio.sleep(0.02)
    cancel()  # by somebody who was held up as long
    assert came == ["alive"]  # what this end has to say it says at once
    time.sleep(2 * HELD_UP_S)  # noqa: ASYNC251 - a loop that is always late ends something in each second sweep
    await asyncio.sleep(0.02)
    assert came == ["alive", "not answered"]
