"""A host from start to end: order, activation, periodic work, failures at start, drain."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct

from tests.integration.runtime.waiting import until
from tests.ports import free_port
from vyked_host import Service, api, background, client, context, every, publish, xsubscribe
from vyked_host.assembly import Host
from vyked_host.contracts import PubSub
from vyked_host.errors import ConfigError, StartError, Unavailable
from vyked_host.runtime.subscriber import Subscriber

LOCAL = "[plugins]\nautoload = false\n[transports.local]\n"
ORDER: list[str] = []


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    greeting: str = "Hello"


class Said(Struct, frozen=True):
    text: str


class Below(Service, name="below", version="1.0.0"):
    options: Options

    async def on_start(self) -> None:
        ORDER.append("below starts")
        self.gate = asyncio.Event()

    async def on_active(self) -> None:
        ORDER.append("below is active")

    async def on_stop(self) -> None:
        ORDER.append("below stops")

    @api
    async def greet(self) -> str:
        return self.options.greeting

    @api
    async def slow(self) -> str:
        await self.gate.wait()
        return "finished"


class Above(Service, name="above", version="1.0.0"):
    below = client(Below)

    async def on_active(self) -> None:
        ORDER.append(f"above is active: {await self.below.greet()}")

    async def on_stop(self) -> None:
        ORDER.append("above stops")

    @api
    async def slow(self) -> str:
        return "through " + await self.below.slow()


@pytest.fixture(autouse=True)
def fresh_order() -> None:
    ORDER.clear()


async def test_services_start_in_order_and_stop_in_reverse() -> None:
    async with Host(Below, Above, text=LOCAL, options={"below": {"greeting": "Hi"}}):
        assert ORDER == ["below starts", "below is active", "above is active: Hi"]
    assert ORDER[3:] == ["above stops", "below stops"]


class Echoing(Service, name="echoing", version="1.0.0"):
    @publish
    def said(self, text: str) -> Said:
        return Said(text)

    @xsubscribe(said)
    async def on_said(self, event: Said) -> None: ...


async def test_nobody_can_call_before_the_groups_are_there_that_take_what_handlers_publish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, start, called = free_port(), Subscriber.start, list[type[Exception]]()

    async def looked_at(subscriber: Subscriber, pubsub: PubSub) -> None:
        with pytest.raises(ConnectionRefusedError) as refused:
            await asyncio.open_connection("127.0.0.1", port)
        called.append(refused.type)
        await start(subscriber, pubsub)

    monkeypatch.setattr(Subscriber, "start", looked_at)
    async with Host(Echoing, text=f"[plugins]\nautoload = false\n[transports.tcp]\nport = {port}\n"):
        assert called == [ConnectionRefusedError]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def test_options_are_checked_against_the_services_own_struct() -> None:
    with pytest.raises(ConfigError, match="greting"):
        async with Host(Below, text=LOCAL, options={"below": {"greting": "Hi"}}):
            pass


async def test_a_service_waits_for_its_dependency_and_says_so() -> None:
    async with Host(Above, text=LOCAL) as host:
        assert ORDER == []
        ready, why = await host.node.readiness()
        assert (ready, why["reasons"]) == (False, {"above": "waiting (below)"})
        with pytest.raises(Unavailable, match=r"above .* is waiting|above waits for below"):
            await host.client(Above).slow()


class Fails(Service, name="fails", version="1.0.0"):
    async def on_start(self) -> None:
        raise RuntimeError("no database")


async def test_a_failing_start_stops_what_was_started_and_names_the_service() -> None:
    with pytest.raises(StartError, match=r"fails\.on_start failed: RuntimeError\('no database'\)"):
        async with Host(Below, Fails, text=LOCAL):
            pass
    assert ORDER == ["below starts", "below stops"]


class Hangs(Service, name="hangs", version="1.0.0"):
    async def on_start(self) -> None:
        await asyncio.Event().wait()


async def test_a_hanging_start_is_ended_and_named() -> None:
    with pytest.raises(StartError, match=r"hangs\.on_start took over 0\.1 s"):
        async with Host(Hangs, text=LOCAL + "[timing]\nstart = 0.1\n"):
            pass


async def test_drain_lets_running_handlers_finish_and_call_out() -> None:
    host = await Host(Below, Above, text=LOCAL).start()
    call = asyncio.ensure_future(host.client(Above).slow())
    await until(lambda: len(host.node.dispatcher.running) == 2)
    below, stopping = host.instance(Below), asyncio.ensure_future(host.stop())
    await until(lambda: host._node is None)
    assert not stopping.done()
    below.gate.set()
    assert await call == "through finished"
    assert await stopping == []


async def test_drain_names_what_did_not_finish_in_time() -> None:
    host = await Host(Below, text=LOCAL + "[host]\ndrain_timeout = 0.1\n").start()
    call = asyncio.ensure_future(host.client(Below).slow())
    await until(lambda: len(host.node.dispatcher.running) == 1)
    assert await host.stop() == ["below.slow"]
    with pytest.raises(Unavailable, match="stopped"):
        await call


class Works(Service, name="works", version="1.0.0"):
    async def on_start(self) -> None:
        self.ticks = self.runs = 0

    @every(seconds=0.01, jitter=0.5)
    async def tick(self) -> None:
        self.ticks += 1
        if self.ticks == 2:
            raise ValueError("one bad tick")

    @background
    async def sweep(self) -> None:
        self.runs += 1
        await asyncio.Event().wait()


async def test_periodic_work_survives_its_failures_and_ends_with_drain(caplog: pytest.LogCaptureFixture) -> None:
    async with Host(Works, text=LOCAL) as host:
        works = host.instance(Works)
        await until(lambda: works.ticks > 4 and works.runs == 1)
        assert host.node.hosted[0].failures == 1
    assert "works.tick failed" in caplog.text
    seen = works.ticks
    await asyncio.sleep(0)
    assert works.ticks == seen


async def test_several_hosts_run_in_one_process() -> None:
    async with Host(Below, text=LOCAL) as one, Host(Below, text=LOCAL) as two:
        assert one.node.record.node_id != two.node.record.node_id
        assert await one.client(Below).greet() == await two.client(Below).greet() == "Hello"
        assert one.instance(Below) is not two.instance(Below)


async def test_nothing_is_left_after_a_host(caplog: pytest.LogCaptureFixture) -> None:
    before = asyncio.all_tasks()
    with caplog.at_level(logging.WARNING):
        async with Host(Below, Above, Works, text=LOCAL) as host:
            await host.client(Below).greet()
    await until(lambda: asyncio.all_tasks() == before)
    assert not [line for line in caplog.records if "failed" in line.getMessage() and "tick" not in line.getMessage()]


async def test_context_tells_who_calls_and_of_metadata_only_the_trace_goes_further_than_one_call() -> None:
    class Asked(Service, name="asked", version="2.1.0"):
        @api
        async def who(self) -> list[Any]:
            found = context()
            return [found.endpoint, found.caller.service if found.caller else None, dict(found.metadata), found.attempt]

    class Asks(Service, name="asks", version="1.0.0"):
        asked = client(Asked)

        @api
        async def pass_on(self) -> list[Any]:
            return [*await self.asked.who(), dict(context().metadata)]

    async with Host(Asked, Asks, text=LOCAL) as host:
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "baggage": "tenant=acme"}
        said = {**trace, "authorization": "Bearer secret"}
        assert await host.client(Asks).pass_on.using(metadata=said)() == ["asked.who", "asks", trace, 1, said]


async def test_losing_a_dependency_is_told_and_stops_nothing() -> None:
    told: list[Sequence[str]] = []

    class Needs(Service, name="needs", version="1.0.0"):
        below = client(Below)

        async def on_inactive(self, missing: Sequence[str]) -> None:
            told.append(list(missing))

        @api
        async def alone(self) -> str:
            return "still here"

    mesh = "[host]\nmesh = 'two'\n"
    async with Host(Below, text=f"{mesh}[transports.tcp]\nport = 0\n") as below:
        uri = below.addresses[0].uri
        static = f"{mesh}{LOCAL}[registry]\nuse = 'static'\n[registry.static]\nnodes = ['{uri}']\n"
        async with Host(Needs, text=static) as host:
            assert (await host.node.readiness())[0]
            await below.stop()
            await until(lambda: told == [["below"]])
            assert await host.client(Needs).alone() == "still here"
            assert (await host.node.readiness())[1]["reasons"] == {"needs": "it lacks below"}


async def test_a_host_that_only_calls_listens_nowhere() -> None:
    async with Host(text="[host]\nmesh = 'calls'\n") as host:
        assert host.addresses == ()
    async with Host(text="[host]\nmesh = 'calls'\n[transports.tcp]\nport = 0\n") as host:
        assert [each.transport for each in host.addresses] == ["tcp"]
