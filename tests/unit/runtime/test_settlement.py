"""What becomes of a verdict: told to whoever awaits it, and to whoever is to hear where it failed."""

import asyncio
import gc
import weakref

import pytest

from vyked_host import Unavailable
from vyked_host.contracts import Settlement


async def waits(settlement: Settlement) -> None:
    await settlement


async def begun(settlement: Settlement) -> "asyncio.Task[None]":
    """Somebody who awaits it."""
    task = asyncio.ensure_future(waits(settlement))
    await asyncio.sleep(0)
    return task


async def test_nothing_of_asyncio_is_made_for_one_that_nobody_awaits() -> None:
    settlement = Settlement()
    settlement.confirm()
    assert settlement.waiter is None
    await settlement
    assert settlement.waiter is None


async def test_whoever_waits_goes_on_when_it_is_confirmed() -> None:
    settlement = Settlement()
    tasks = [await begun(settlement), await begun(settlement)]
    assert not any(task.done() for task in tasks)
    settlement.confirm()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)


@pytest.mark.parametrize("when", ["before it is awaited", "while it is awaited"])
async def test_whoever_waits_gets_the_error(when: str) -> None:
    settlement, error = Settlement(), Unavailable("away")
    if when == "before it is awaited":
        settlement.fail(error)
        task = await begun(settlement)
    else:
        task = await begun(settlement)
        settlement.fail(error)
    with pytest.raises(Unavailable) as caught:
        await asyncio.wait_for(task, 5)
    assert caught.value is error


async def test_it_fails_once_and_not_after_it_was_confirmed() -> None:
    told: list[Exception] = []
    failing, confirmed = Settlement(failed=told.append), Settlement(failed=told.append)
    first = Unavailable("first")
    failing.fail(first)
    failing.fail(Unavailable("second"))
    confirmed.confirm()
    confirmed.fail(Unavailable("late"))
    assert told == [first]
    assert confirmed.error is None
    await confirmed


async def test_who_gives_up_waiting_takes_nothing_from_who_waits_next() -> None:
    settlement = Settlement()
    task = await begun(settlement)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert not settlement.is_over
    other = await begun(settlement)
    settlement.confirm()
    await asyncio.wait_for(other, 5)


async def test_its_future_is_done_also_where_it_is_over_before() -> None:
    confirmed, failed = Settlement(), Settlement()
    confirmed.confirm()
    failed.fail(Unavailable("away"))
    for each in (confirmed, failed):
        assert each.is_over
        await asyncio.wait_for(each.future(), 5)


async def test_one_that_failed_is_no_ring_with_its_error() -> None:
    """It would wait for the collector."""

    class Own(Settlement, weakref=True):
        """One that can be watched."""

    settlement = Own()
    settlement.fail(Unavailable("away"))
    gc.disable()
    try:
        with pytest.raises(Unavailable):
            await settlement
        watched = weakref.ref(settlement)
        del settlement
        assert watched() is None
    finally:
        gc.enable()
