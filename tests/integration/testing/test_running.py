import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from msgspec import Struct

from vyked_host import Retry, Service, Unavailable, UsageError, api, client, context, every, publish, xsubscribe
from vyked_host.testing import running


class Rang(Struct, frozen=True):
    times: int


class Bell(Service, name="bell", version="1.0.0"):
    async def on_start(self):
        self.ticks = 0
        self.stopped = False

    async def on_stop(self):
        self.stopped = True

    @api
    async def ring(self, times: int) -> int:
        await self.rang(times)
        return times

    @api
    async def each(self, times: int) -> AsyncIterator[int]:
        for time_ in range(times):
            yield time_

    @api
    async def nap(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return context().remaining

    @api(blocking=True)
    def compute(self) -> str:
        time.sleep(0.05)
        return "done"

    @publish
    def rang(self, times: int) -> Rang:
        return Rang(times)

    @every(seconds=60)
    async def tick(self) -> None:
        self.ticks += 1


class Listener(Service, name="listener", version="1.0.0"):
    bell = client(Bell, version="1")

    async def on_start(self):
        self.heard = []

    @api
    async def ask(self, times: int) -> list[int]:
        async with self.bell.each(times) as items:
            return [await self.bell.ring.using(timeout=1.0)(times), *[item async for item in items]]

    @xsubscribe(Bell.rang)
    async def hear(self, event: Rang) -> None:
        delivery = context().delivery
        if event.times == 13 and delivery.delivery_count == 1:
            raise Retry(after=60)
        self.heard.append(event.times)


@pytest.mark.parametrize("over", ["local", "tcp", "http"])
async def test_the_mesh_calls_over_what_it_is_told(over):
    async with running(Bell, Listener, over=over) as mesh:
        assert await mesh.client(Listener).ask(2) == [2, 0, 1]
        assert await mesh.client(Bell, over="local").ring(1) == 1
        assert [address.transport for address in mesh.host.addresses if address.transport != "local"] == (
            [] if over == "local" else [over]
        )


async def test_events_are_recorded_from_the_beginning_and_given_once():
    async with running(Bell) as mesh:
        for times in (1, 2, 3):
            await mesh.client(Bell).ring(times)
        assert await mesh.next(Bell.rang, where=lambda event: event.times > 1) == Rang(2)
        assert await mesh.next(Bell.rang) == Rang(1)
        assert await mesh.next(Bell.rang) == Rang(3)
        with pytest.raises(AssertionError, match=r"bell\.rang"):
            await mesh.next(Bell.rang, within=0.01)


async def test_settled_waits_for_retries_too():
    async with running(Bell, Listener, virtual_time=True) as mesh:
        await mesh.publish(Bell.rang, Rang(13))
        await mesh.settled(within=100)
        assert mesh.instance(Listener).heard == [13]


async def test_virtual_time_takes_no_time_and_timers_keep_their_order():
    async with running(Bell, virtual_time=True) as mesh:
        began = time.monotonic()
        await mesh.advance(601)
        assert mesh.instance(Bell).ticks == 10
        assert await mesh.client(Bell).nap(9.0) == pytest.approx(1.0, abs=0.1)
        assert time.monotonic() - began < 5


async def test_virtual_time_waits_for_threads():
    async with running(Bell, virtual_time=True) as mesh:
        assert await mesh.client(Bell).compute() == "done"


async def test_time_is_real_again_afterwards():
    loop = asyncio.get_running_loop()
    async with running(Bell, virtual_time=True) as mesh:
        await mesh.advance(1000)
    assert abs(loop.time() - time.monotonic()) < 1


async def test_a_drained_service_finishes_what_runs_and_refuses_what_comes():
    async with running(Bell, virtual_time=True) as mesh:
        bell = mesh.client(Bell)
        running_call = asyncio.ensure_future(bell.nap(1.0))
        await asyncio.sleep(0.1)
        await mesh.drain(Bell)
        assert await running_call == pytest.approx(9.0, abs=0.1)
        assert mesh.instance(Bell).stopped
        with pytest.raises(Unavailable):
            await bell.ring(1)


async def test_a_fake_can_stream_and_be_given_options():
    class FakeBell:
        def ring(self, times):
            return times * 10

        async def each(self, times):
            for item in range(times):
                yield item * 10

    async with running(Listener, fakes={"bell": FakeBell()}) as mesh:
        assert await mesh.client(Listener).ask(2) == [20, 0, 10]


async def test_a_fake_without_the_method_is_named():
    async with running(Listener, fakes={"bell": object()}) as mesh:
        with pytest.raises(AttributeError, match="fake of 'bell'"):
            await mesh.instance(Listener).ask(1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"over": "pigeon"}, "pigeon"), ({"over": "tcp", "virtual_time": True}, "real time")],
)
async def test_what_can_not_be_is_said_at_once(wrong, says):
    with pytest.raises(UsageError, match=says):
        async with running(Bell, **wrong):
            pass


async def test_each_wrong_question_to_a_mesh_says_what_to_ask_for():
    async with running(Bell) as mesh:
        with pytest.raises(UsageError, match='over="http"'):
            mesh.http(Bell)
        with pytest.raises(UsageError, match="over='tcp'"):
            mesh.client(Bell, over="tcp")
        with pytest.raises(UsageError, match="virtual_time"):
            await mesh.advance(1)
        with pytest.raises(UsageError, match="Listener"):
            await mesh.drain(Listener)
