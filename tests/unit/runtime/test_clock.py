"""One sweep for all timers: never early, at most a sweep late, nothing left behind."""

import asyncio
import time

import uvloop

from vyked_host.runtime.clock import HELD_UP_S, SWEEP_S, LoopClock
from vyked_host.testing.waiting import eventually


async def test_expiries_come_after_their_time_and_once() -> None:
    clock = LoopClock(asyncio.get_running_loop())
    came: list[tuple[str, float]] = []
    began = clock.now()
    for name, after in (("late", 0.2), ("soon", 0.05), ("now", 0.0)):
        clock.at(began + after, lambda name=name: came.append((name, clock.now() - began)))  # type: ignore[misc]
    await eventually(lambda: len(came) == 3)
    assert [name for name, _ in came] == ["now", "soon", "late"]
    assert all(at >= after for (_, at), after in zip(came, (0.0, 0.05, 0.2), strict=True))


async def test_a_cancelled_expiry_never_comes() -> None:
    clock = LoopClock(asyncio.get_running_loop())
    came: list[str] = []
    cancel = clock.at(clock.now() + 0.01, lambda: came.append("cancelled"))
    clock.at(clock.now() + 2 * SWEEP_S, lambda: came.append("kept"))
    cancel()
    cancel()
    await eventually(lambda: came == ["kept"])


async def test_closing_forgets_all() -> None:
    clock = LoopClock(asyncio.get_running_loop())
    came: list[str] = []
    clock.at(clock.now(), lambda: came.append("no"))
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
    cancel = clock.at(clock.now() + 2 * SWEEP_S, lambda: came.append("answered in time"))
    clock.at(clock.now() + 2 * SWEEP_S, lambda: came.append("not answered"))
    await asyncio.sleep(0)
    time.sleep(2 * HELD_UP_S)  # noqa: ASYNC251 - the machine has no processor for this loop
    await asyncio.sleep(0.02)
    cancel()  # by somebody who was held up as long
    assert came == []
    time.sleep(2 * HELD_UP_S)  # noqa: ASYNC251 - a loop that is always late ends something in each second sweep
    await asyncio.sleep(0.02)
    assert came == ["not answered"]
