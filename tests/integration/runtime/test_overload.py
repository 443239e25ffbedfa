"""More calls than a node gets done, over real sockets: who is refused, how, and that it passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from vyked_host import Service, api, client
from vyked_host.assembly import Host
from vyked_host.errors import CallError, Overloaded
from vyked_host.testing.waiting import eventually

from .party import Party

WORKERS, WORK_S = 4, 0.05
WITHIN_S = 30.0
"""A limit is found, and found to be no longer needed, within some seconds where the machine has nothing else to do."""


class Shop(Service, name="shop", version="1.0.0"):
    """Four at a time, 50 ms each: 80 calls a second."""

    def __init__(self) -> None:
        self.workers = asyncio.Semaphore(WORKERS)
        self.released = asyncio.Event()

    async def _work(self) -> None:
        async with self.workers:
            await asyncio.sleep(WORK_S)

    @api
    async def buy(self) -> None:
        await self._work()

    @api(priority="high")
    async def pay(self) -> None:
        await self._work()

    @api(priority="low")
    async def browse(self) -> None:
        await self._work()

    @api
    async def hold(self) -> None:
        await self.released.wait()

    @api
    async def watch(self) -> AsyncIterator[int]:
        yield 1
        await self.released.wait()


class Crowd:
    """Callers that call again and again, each pausing for as long as a refusal asks for."""

    def __init__(self) -> None:
        self.done = 0
        self.refused: list[Overloaded] = []
        self.other: list[CallError] = []

    @asynccontextmanager
    async def of(self, callers: int, call: Callable[[], Any]) -> AsyncIterator[Crowd]:
        going = [asyncio.ensure_future(self._caller(call)) for _ in range(callers)]
        try:
            yield self
        finally:
            for each in going:
                each.cancel()
            await asyncio.gather(*going, return_exceptions=True)

    async def _caller(self, call: Callable[[], Any]) -> None:
        while True:
            try:
                await call()
                self.done += 1
            except Overloaded as error:
                self.refused.append(error)
                await asyncio.sleep(error.retry_after or 0.0)
            except CallError as error:
                self.other.append(error)


ADAPTIVE = "[limits]\nadaptive = true\n"


async def shop_and_caller(party: Party, more: str = ADAPTIVE) -> tuple[Host, Any]:
    server = await party.host(Shop, more=more)
    caller = await party.host()
    shop: Any = caller.client(Shop)
    await eventually(lambda: caller.node.clients[0].target.instances, WITHIN_S)
    async with Crowd().of(WORKERS, shop.buy) as calm:  # what is usual is known
        await eventually(lambda: calm.done > 60, WITHIN_S)
    return server, shop


def limit(host: Host) -> float:
    return host.node.dispatcher.pacing.limit


async def test_calls_that_would_only_wait_are_refused_as_not_executed_and_that_passes(party: Party) -> None:
    server, shop = await shop_and_caller(party)
    assert limit(server) == 1024
    async with Crowd().of(25 * WORKERS, shop.buy) as crowd:
        await eventually(lambda: limit(server) < 10 * WORKERS and len(crowd.refused) > 50, WITHIN_S)
        done = crowd.done
        await eventually(lambda: crowd.done > done + 50, WITHIN_S)
    assert crowd.other == []
    assert {each.executed for each in crowd.refused} == {"not_executed"}
    assert all(each.retry_after for each in crowd.refused)
    told = server.node.statistics()["in_flight"]
    assert (told["limit"], told["most"]) == (int(limit(server)), 1024)
    assert told["refused"] >= len(crowd.refused)  # who was cancelled did not hear of it
    await eventually(lambda: limit(server) == 1024, WITHIN_S)
    await shop.buy()


async def test_where_the_limit_does_not_adapt_nobody_is_refused(party: Party) -> None:
    server, shop = await shop_and_caller(party, "")
    async with Crowd().of(25 * WORKERS, shop.buy) as crowd:
        await eventually(lambda: crowd.done > 100, WITHIN_S)
    assert crowd.refused == []
    assert limit(server) == 1024


async def test_long_calls_and_streams_take_no_place_and_say_nothing_of_how_fast_calls_are(party: Party) -> None:
    server, shop = await shop_and_caller(party)
    long = [asyncio.ensure_future(shop.hold()) for _ in range(40)]
    streams = [shop.watch() for _ in range(40)]
    for each in streams:
        await anext(each)
    async with Crowd().of(WORKERS, shop.buy) as crowd:
        await eventually(lambda: crowd.done > 100, WITHIN_S)
    assert crowd.refused == []
    async with Crowd().of(25 * WORKERS, shop.buy) as flood:
        await eventually(lambda: flood.refused, WITHIN_S)
        done = flood.done
        await eventually(lambda: flood.done > done + 50, WITHIN_S)  # they are not refused for the long ones' sake
    assert [each.done() for each in long] == [False] * 40
    server.instance(Shop).released.set()
    await asyncio.gather(*long)
    for each in streams:
        assert [item async for item in each] == []


async def test_calls_inside_the_process_are_not_refused(party: Party) -> None:
    server, shop = await shop_and_caller(party)
    own: Any = server.client(Shop)
    async with Crowd().of(25 * WORKERS, shop.buy) as crowd, Crowd().of(1, own.buy) as inside:
        await eventually(lambda: crowd.refused and inside.done > 5, WITHIN_S)
    assert inside.refused == []


async def test_the_log_says_once_that_calls_are_refused(party: Party, caplog: pytest.LogCaptureFixture) -> None:
    _, shop = await shop_and_caller(party)
    async with Crowd().of(25 * WORKERS, shop.buy) as crowd:
        await eventually(lambda: len(crowd.refused) > 50, WITHIN_S)
    assert caplog.text.count("more calls come than get done") == 1


class Till(Service, name="till", version="1.0.0"):
    """Calls the shop for others."""

    shop = client(Shop)

    @api
    async def buy(self) -> None:
        await self.shop.buy()


@pytest.mark.parametrize("transport", ["tcp", "http"])
async def test_a_caller_may_lower_the_priority_of_its_calls_and_of_those_they_make_and_not_raise_it(
    party: Party, transport: str
) -> None:
    """Four places: three quarters of them are for low ones."""
    server = await party.host(Shop, transport=transport, more="[limits]\nin_flight = 4\n")
    await party.host(Till, transport=transport)
    caller = await party.host(transport=transport, more="[clients.default]\nretry = { attempts = 1 }\n")
    shop: Any = caller.client(Shop)
    till: Any = caller.client(Till)
    await eventually(lambda: all(each.target.instances for each in caller.node.clients), WITHIN_S)
    held = [asyncio.ensure_future(shop.hold()) for _ in range(3)]
    await eventually(lambda: len(server.node.dispatcher.running) == 3, WITHIN_S)
    for buy in (shop.buy, till.buy):
        await eventually_called(buy)
        with pytest.raises(CallError, match=r"enough to do|failed"):
            await buy.using(priority="low")()
    with pytest.raises(Overloaded):
        await shop.pay.using(priority="low")()
    held.append(asyncio.ensure_future(shop.hold()))
    await eventually(lambda: len(server.node.dispatcher.running) == 4, WITHIN_S)
    await shop.pay()
    for priority in ("normal", "high"):
        with pytest.raises(Overloaded):
            await shop.buy.using(priority=priority)()
    with pytest.raises(Overloaded):
        await shop.pay.using(priority="normal")()
    assert server.node.statistics()["calls"]["shop.buy"]["codes"] == {"RESOURCE_EXHAUSTED": 4}
    server.instance(Shop).released.set()
    await asyncio.gather(*held)


async def eventually_called(call: Callable[[], Any]) -> None:
    """Once a service is active."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await call()
            except CallError:
                await asyncio.sleep(0.01)


async def test_a_priority_that_there_is_not_is_refused_where_it_is_said(party: Party) -> None:
    caller = await party.host(Shop)
    with pytest.raises(ValueError, match="'urgent' is none of low, normal, high"):
        caller.client(Shop).buy.using(priority="urgent")  # type: ignore[arg-type]


async def test_calls_of_low_priority_are_refused_first_and_those_of_high_priority_last(party: Party) -> None:
    server, shop = await shop_and_caller(party)
    many = 25 * WORKERS
    async with (
        Crowd().of(many, shop.browse) as low,
        Crowd().of(many, shop.buy) as normal,
        Crowd().of(1, shop.pay) as high,
    ):
        running = server.node.dispatcher.running
        await eventually(lambda: len(running) <= limit(server) < 10 * WORKERS and len(normal.refused) > 50, WITHIN_S)
        before = (low.done, normal.done, high.done)
        refused = len(high.refused)
        await eventually(lambda: normal.done > before[1] + 50 and high.done > before[2] + 10, WITHIN_S)
    assert len(high.refused) - refused < (high.done - before[2]) / 4
    assert low.done - before[0] < (normal.done - before[1]) / 2
