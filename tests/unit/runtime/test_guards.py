"""What stands before the calls of a client: breaker, bulkhead and rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from vyked_host.errors import CallError, DeadlineExceeded, Overloaded, RemoteFailure, Unavailable
from vyked_host.model.tables import BreakerTable, BulkheadTable, RateTable
from vyked_host.runtime.bulkhead import Bulkhead
from vyked_host.runtime.clock import LoopClock
from vyked_host.service.clients import CallOptions
from vyked_host.testing.virtual_time import virtual_time

from .shops import Shops, answers, endpoint, fails, hangs, later

BROKEN = fails("INTERNAL", "executed")
BREAKER = BreakerTable(failures=0.5, of=4, open_for=10.0)


@pytest.fixture(autouse=True)
async def virtual() -> AsyncIterator[None]:
    with virtual_time():
        yield


def now() -> float:
    return asyncio.get_running_loop().time()


# ---- breaker ---------------------------------------------------------------------------------------------------------
async def test_a_method_that_fails_too_often_is_not_called_for_a_while() -> None:
    shops = Shops(BROKEN, breaker=BREAKER)
    call = shops.bind()
    for _ in range(4):
        with pytest.raises(RemoteFailure):
            await call()
    with pytest.raises(Unavailable, match="breaker") as refused:
        await call()
    assert (refused.value.executed, refused.value.retry_after) == ("not_sent", pytest.approx(10.0))
    assert (shops.asked, shops.decisions) == ([4], {"opened": 1, "refused": 1})
    assert await _outcome(shops.bind("look")) is RemoteFailure  # each method has a breaker of its own


async def test_one_call_finds_out_whether_it_works_again() -> None:
    shops = Shops(BROKEN, breaker=BREAKER)
    call = shops.bind()
    await asyncio.gather(*(call() for _ in range(4)), return_exceptions=True)
    await asyncio.sleep(10.0)
    shops.instances[0].script = later(1.0, answers)
    outcomes = await asyncio.gather(*(call() for _ in range(5)), return_exceptions=True)
    assert [each for each in outcomes if each == 1] == [1]
    assert shops.decisions["refused"] == 4
    assert await call() == 1


async def test_a_probe_that_is_cancelled_lets_another_one_through() -> None:
    shops = Shops(BROKEN, breaker=BREAKER)
    call = shops.bind()
    await asyncio.gather(*(call() for _ in range(4)), return_exceptions=True)
    await asyncio.sleep(10.0)
    shops.instances[0].script = hangs
    probe = asyncio.ensure_future(call())
    await asyncio.sleep(0.1)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    shops.instances[0].script = answers
    assert await call() == 1


# ---- bulkhead --------------------------------------------------------------------------------------------------------
async def test_so_many_run_so_many_wait_in_order_and_the_rest_is_refused() -> None:
    shops = Shops(later(1.0, answers), bulkhead=BulkheadTable(in_flight=2, pending=3))
    call = shops.bind()
    ended: list[int] = []

    async def one(number: int) -> None:
        await call()
        ended.append(number)

    outcomes = await asyncio.gather(*(one(number) for number in range(7)), return_exceptions=True)
    assert [type(each) for each in outcomes[5:]] == [Overloaded, Overloaded]
    assert isinstance(outcomes[5], CallError)
    assert outcomes[5].executed == "not_sent"
    assert [set(ended[:2]), set(ended[2:4]), ended[4]] == [{0, 1}, {2, 3}, 4]
    assert len({at for at, _ in shops.instances[0].asked}) == 3  # two, then two, then one
    assert shops.decisions == {"shed": 2}


async def test_who_waits_waits_no_longer_than_its_deadline() -> None:
    shops = Shops(later(3.0, answers), bulkhead=BulkheadTable(in_flight=1, pending=9))
    call, began = shops.bind(), now()
    first = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded, match="bulkhead") as late:
        await call(CallOptions(timeout=1.0))
    assert late.value.executed == "not_sent"
    assert now() - began == pytest.approx(1.0)
    with pytest.raises(DeadlineExceeded):  # what it waits for its place is part of its time
        await call(CallOptions(timeout=4.0))
    assert now() - began <= 5.1
    assert await first == 1
    assert await call() == 1


async def test_who_is_cancelled_while_it_waits_leaves_its_place_to_the_next() -> None:
    shops = Shops(later(1.0, answers), bulkhead=BulkheadTable(in_flight=1, pending=9))
    call = shops.bind()
    calls = [asyncio.ensure_future(call()) for _ in range(3)]
    await asyncio.sleep(0.5)
    calls[1].cancel()
    assert await calls[2] == 1
    assert await call() == 1
    assert shops.asked == [3]


async def test_a_place_given_to_who_is_cancelled_in_that_turn_is_not_lost() -> None:
    bulkhead = Bulkhead(1, 9, LoopClock(asyncio.get_running_loop()), "shop")
    bulkhead.enter()
    first, second = (asyncio.ensure_future(bulkhead.wait(now() + 5.0)) for _ in range(2))
    await asyncio.sleep(0)
    bulkhead.leave()
    first.cancel()
    await second
    assert not bulkhead.is_free
    bulkhead.leave()
    assert bulkhead.is_free
    assert first.cancelled()


# ---- rate ------------------------------------------------------------------------------------------------------------
async def test_over_the_rate_is_refused_with_when_to_come_again() -> None:
    shops = Shops(answers, rate=RateTable(per_second=10.0, burst=2))
    call = shops.bind()
    assert [await call(), await call()] == [1, 1]
    with pytest.raises(Overloaded) as refused:
        await call()
    assert (refused.value.executed, refused.value.retry_after) == ("not_sent", pytest.approx(0.1))
    await asyncio.sleep(refused.value.retry_after)
    assert await call() == 1
    assert shops.decisions == {"limited": 1}


async def test_all_methods_share_the_rate() -> None:
    shops = Shops(answers, rate=RateTable(per_second=1.0))
    assert await shops.bind("buy")() == 1
    assert await _outcome(shops.bind("look")) is Overloaded


# ---- together --------------------------------------------------------------------------------------------------------
async def test_what_is_not_configured_is_not_there() -> None:
    shops = Shops(answers)
    call = shops.client.bind(endpoint())
    assert call.__qualname__ == "Attempts.call"


async def test_a_refusal_of_ones_own_opens_no_breaker() -> None:
    shops = Shops(answers, breaker=BreakerTable(of=2), rate=RateTable(per_second=0.01, burst=1))
    call = shops.bind()
    assert await call() == 1
    for _ in range(5):
        assert await _outcome(call) is Overloaded


async def _outcome(call: Callable[[], Awaitable[int]]) -> type[BaseException] | None:
    try:
        await call()
    except CallError as error:
        return type(error)
    return None
