"""How a host ends, and what happens at its edges: failing parts, stubborn tasks, events at the last moment."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.integration.runtime.waiting import until
from vyked_host import Service, api, client, context, publish, xsubscribe
from vyked_host.assembly import Host
from vyked_host.builtin.embedded.registry import EmbeddedRegistry
from vyked_host.errors import DeadlineExceeded, StartError, Unavailable, UsageError
from vyked_host.routing.backoff import Backoff
from vyked_host.runtime import subscriber
from vyked_host.runtime.node import Node

LOCAL = "[plugins]\nautoload = false\n[transports.local]\n"
FAST = LOCAL + "[timing]\nstop = 0.2\nstart = 0.2\n"
SEEN: list[str] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    SEEN.clear()


class Plain(Service, name="plain", version="1.0.0"):
    async def on_stop(self) -> None:
        SEEN.append("plain stops")

    @api
    async def hello(self) -> str:
        return "hello"


def lifespan(name: str, *, fails: str = "") -> tuple[str, Any]:
    @asynccontextmanager
    async def span() -> AsyncIterator[None]:
        SEEN.append(f"{name} enters")
        if fails == "entering":
            raise RuntimeError(name)
        yield
        SEEN.append(f"{name} leaves")
        if fails == "leaving":
            raise RuntimeError(name)
        if fails == "hanging":
            await asyncio.Event().wait()

    return name, span()


@pytest.fixture
def with_lifespans(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(*spans: tuple[str, Any]) -> None:
        start = Node.start

        async def begin(node: Node) -> None:
            node.lifespans = list(spans)
            await start(node)

        monkeypatch.setattr(Node, "start", begin)

    return use


async def broken() -> None:
    raise RuntimeError("it will not close")


async def hanging() -> None:
    await asyncio.Event().wait()


# ---- start -----------------------------------------------------------------------------------------------------------
async def test_lifespans_are_left_in_reverse_when_a_later_one_fails(with_lifespans: Callable[..., None]) -> None:
    with_lifespans(lifespan("a"), lifespan("b"), lifespan("c", fails="entering"))
    with pytest.raises(StartError, match="plugin c: its lifespan failed"):
        await Host(Plain, text=LOCAL).start()
    assert SEEN == ["a enters", "b enters", "c enters", "b leaves", "a leaves"]


async def test_a_lifespan_that_says_what_is_wrong_is_quoted_and_no_more(with_lifespans: Callable[..., None]) -> None:
    @asynccontextmanager
    async def refusing() -> AsyncIterator[None]:
        raise StartError("[transports.x] port: 'a' is no port")
        yield

    with_lifespans(("x 1.0", refusing()))
    with pytest.raises(StartError) as caught:
        await Host(Plain, text=LOCAL).start()
    assert str(caught.value) == "plugin x 1.0: [transports.x] port: 'a' is no port"


async def test_a_lifespan_that_fails_or_hangs_at_its_end_keeps_no_other_from_ending(
    with_lifespans: Callable[..., None],
) -> None:
    with_lifespans(lifespan("a"), lifespan("b", fails="hanging"), lifespan("c", fails="leaving"))
    host = await Host(Plain, text=FAST).start()
    assert await host.stop() == ["lifespan of plugin b"]
    assert SEEN[3:] == ["plain stops", "c leaves", "b leaves", "a leaves"]


async def test_a_host_is_started_once() -> None:
    async with Host(Plain, text=LOCAL) as host:
        with pytest.raises(UsageError, match="runs already"):
            await host.start()


async def test_a_host_that_failed_to_start_may_be_tried_again(with_lifespans: Callable[..., None]) -> None:
    with_lifespans(lifespan("a", fails="entering"))
    host = Host(Plain, text=LOCAL)
    with pytest.raises(StartError):
        await host.start()
    with pytest.raises(UsageError, match="does not run"):
        _ = host.node
    assert await host.stop() == []


class SlowToActivate(Service, name="slow", version="1.0.0"):
    async def on_active(self) -> None:
        await asyncio.Event().wait()


async def test_an_on_active_that_hangs_is_named_and_keeps_no_host_from_serving(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Host(SlowToActivate, Plain, text=FAST) as host:
        assert await host.client(Plain).hello() == "hello"
    assert "slow.on_active took over 0.2 s" in caplog.text


# ---- end -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", [broken, hanging])
async def test_one_part_that_does_not_close_keeps_no_other_from_closing(
    ending: Callable[[], Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await Host(Plain, text=FAST + "[transports.tcp]\nport = 0\n").start()
    node, closed = host.node, list[str]()
    listener, registry_closed = node.listeners["tcp"], node.registry.aclose

    async def closing_registry() -> None:
        closed.append("registry")
        await registry_closed()

    monkeypatch.setattr(node.registry, "aclose", closing_registry)
    for part in (node.listeners["local"], node.pubsub, node.directory):
        monkeypatch.setattr(part, "aclose", ending)
    monkeypatch.setattr(node.membership, "leave", ending)
    left = await host.stop()
    assert (node.phase, closed, SEEN) == ("stopped", ["registry"], ["plain stops"])
    assert listener.connections == 0  # type: ignore[attr-defined]
    assert ("closing the bus" in left) == (ending is hanging)
    for what in ("closing the bus", "closing the listener local", "leaving the registry"):
        assert what in caplog.text


class Stubborn(Service, name="stubborn", version="1.0.0"):
    async def on_start(self) -> None:
        self.gate = asyncio.Event()
        self.spawn(self.cling(), name="clinging work")

    async def cling(self) -> None:
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                SEEN.append("cancel swallowed")


async def test_a_task_that_swallows_its_cancellation_is_named_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vyked_host.runtime.tasks.TaskScope.cancel.__defaults__", (0.1,))
    host = await Host(Stubborn, text=FAST).start()
    gate = host.instance(Stubborn).gate
    assert await asyncio.wait_for(host.stop(), 5) == ["clinging work"]
    assert SEEN == ["cancel swallowed"]
    gate.set()


async def test_abort_takes_no_new_calls_and_lets_handlers_clean_up() -> None:
    class Busy(Service, name="busy", version="1.0.0"):
        @api
        async def work(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                SEEN.append("cleaned up")

    host = await Host(Busy, text=LOCAL).start()
    call = asyncio.ensure_future(host.client(Busy).work())
    await until(lambda: host.node.dispatcher.running)
    work = host.client(Busy).work
    aborting = asyncio.ensure_future(host.node.abort())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match=r"stopping|this host stops"):  # the second where it was tried once more
        await work()
    assert await aborting == ["busy.work"]
    with pytest.raises(Unavailable, match="the host was stopped"):
        await call
    assert SEEN == ["cleaned up"]


# ---- work beside calls -----------------------------------------------------------------------------------------------
class Spawner(Service, name="spawner", version="1.0.0"):
    plain = client(Plain)

    async def on_start(self) -> None:
        self.gate, self.done = asyncio.Event(), asyncio.get_running_loop().create_future()

    @api(timeout=0.05)
    async def begin(self) -> float:
        self.spawn(self.later(), name="later")
        return context().remaining

    async def later(self) -> None:
        await self.gate.wait()
        self.done.set_result((await self.plain.hello(), context().endpoint))


async def test_spawned_work_outlives_the_deadline_of_the_call_that_began_it() -> None:
    async with Host(Plain, Spawner, text=LOCAL) as host:
        assert 0 < await host.client(Spawner).begin() <= 0.05
        await asyncio.sleep(0.06)  # past the deadline of the call, which is the point
        host.instance(Spawner).gate.set()
        assert await host.instance(Spawner).done == ("hello", "spawner.begin")


# ---- membership ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("error", "traces"), [(RuntimeError("a defect"), 1), (Unavailable("it went"), 0), (OSError("it broke"), 0)]
)
async def test_a_watch_that_fails_is_begun_again_and_each_time_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception, traces: int
) -> None:
    watch, watched = EmbeddedRegistry.watch, list[Any]()

    def failing(registry: EmbeddedRegistry, services: Any) -> AsyncIterator[Any]:
        watched.append(watch(registry, services))
        return _broken(error) if len(watched) <= 3 else watched[-1]

    monkeypatch.setattr(EmbeddedRegistry, "watch", failing)
    async with Host(Plain, text=LOCAL) as host:
        await until(lambda: host.node.directory.view.revision)
        assert len(watched) == 4
    told = [each for each in caplog.records if "the watch of the registry failed" in each.message]
    assert [str(error) in each.message for each in told] == [True] * 3
    assert sum(bool(each.exc_info) for each in told) == traces


async def _broken(error: Exception) -> AsyncIterator[Any]:
    raise error
    yield


async def test_a_node_that_leaves_while_it_is_announced_takes_that_back() -> None:
    async with Host(Plain, text=LOCAL) as host:
        node, said = host.node, list[str]()
        announce = node.registry.announce

        async def slow(record: Any) -> Any:
            said.append("asked")
            await asyncio.sleep(0.05)
            lease = await announce(record)
            withdraw = lease.withdraw

            async def withdrawn() -> None:
                said.append("withdrawn")
                await withdraw()

            lease.withdraw = withdrawn  # type: ignore[method-assign]
            return lease

        node.registry.announce = slow  # type: ignore[method-assign]
        lease = node.membership.announcement._lease
        assert lease is not None
        lease.lost.set_result("expired")
        await until(lambda: said)
        await node.membership.leave()
        assert said == ["asked", "withdrawn"]
        await asyncio.sleep(0.1)  # longer than an announcement takes: there must be none
        assert said == ["asked", "withdrawn"]


# ---- events ----------------------------------------------------------------------------------------------------------
class Source(Service, name="source", version="1.0.0"):
    @publish
    def happened(self, what: str) -> str:
        return what

    async def on_stop(self) -> None:
        for _ in range(3):
            self.happened("the end")  # type: ignore[unused-coroutine]  # nobody waits for it


async def test_events_of_on_stop_are_accepted_or_reported_before_the_end() -> None:
    host = await Host(Source, text=LOCAL).start()
    publisher = host.node.publisher
    await host.stop()
    assert (publisher.published + publisher.failed, publisher.outstanding) == (3, 0)


class Sink(Service, name="sink", version="1.0.0"):
    def __init__(self) -> None:
        self.tries: list[int] = []
        self.remaining: list[float] = []

    @xsubscribe(Source.happened)
    async def on_happened(self, what: str) -> None:
        self.tries.append(context().delivery.delivery_count)  # type: ignore[union-attr]
        if what == "cancels itself":
            raise asyncio.CancelledError
        if what == "exits":
            raise SystemExit(3)
        if what == "goes on":
            self.remaining.append(context().remaining)
            context().call.deadline -= 20.0  # as if 20 s had passed
            await context().delivery.in_progress()  # type: ignore[union-attr]
            self.remaining.append(context().remaining)


@pytest.mark.parametrize("what", ["cancels itself", "exits"])
async def test_an_event_whose_handler_cancels_itself_or_exits_comes_again(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "_REDELIVERY", Backoff(first=0.001, most=0.001))
    async with Host(Source, Sink, text=LOCAL) as host:
        await host.publish(Source.happened, what)
        await until(lambda: len(host.instance(Sink).tries) >= 2)
        assert host.instance(Sink).tries[:2] == [1, 2]


async def test_in_progress_gives_the_handler_and_its_calls_new_time() -> None:
    async with Host(Source, Sink, text=LOCAL) as host:
        await host.publish(Source.happened, "goes on")
        await until(lambda: len(host.instance(Sink).remaining) == 2)
        assert [round(each) for each in host.instance(Sink).remaining] == [30, 30]


async def test_a_handler_that_says_in_progress_for_ever_loses_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "HELD_S", 0.05)
    monkeypatch.setattr(subscriber, "_REDELIVERY", Backoff(first=0.001, most=0.001))
    async with Host(Source, Endless, text=LOCAL) as host:
        await host.publish(Source.happened, "x")
        endless = host.instance(Endless)
        await until(lambda: len(endless.tries) >= 2)
        assert endless.tries[:2] == [1, 2]
        assert endless.extended >= 1
        assert all("others may get it now" in each for each in endless.ended)


class Endless(Service, name="endless", version="1.0.0"):
    def __init__(self) -> None:
        self.tries: list[int] = []
        self.ended: list[str] = []
        self.extended = 0

    @xsubscribe(Source.happened)
    async def on_happened(self, what: str) -> None:
        delivery = context().delivery
        self.tries.append(delivery.delivery_count)  # type: ignore[union-attr]
        try:
            while True:
                await delivery.in_progress()  # type: ignore[union-attr]
                self.extended += 1
                await asyncio.sleep(0)
        except DeadlineExceeded as error:
            self.ended.append(str(error))
            raise


async def test_a_bus_that_cannot_be_told_is_logged_with_the_event(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise Unavailable("the bus is gone")

    async with Host(Source, Sink, text=LOCAL) as host:
        monkeypatch.setattr("vyked_host.builtin.embedded.events.inbox.GroupDelivery.settle", refuse)
        await host.publish(Source.happened, "x")
        await until(lambda: "could not be told ack" in caplog.text)
        assert "sink.on_happened" in caplog.text
        await until(lambda: not host.node.event_tasks.names())
