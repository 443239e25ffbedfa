"""Outgoing calls against a channel that does what a test wants: every ending is told once, and leaves nothing behind."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from vyked_host.builtin.serializers.codecs import Msgpack
from vyked_host.errors import CallNotSupported, Cancelled, DeadlineExceeded, InvalidPayload, Unavailable
from vyked_host.model.description import EndpointDescription, Kind, Surface
from vyked_host.model.message import Call, Fault
from vyked_host.model.settings import ClientTable, LimitsTable
from vyked_host.model.topology import NodeRecord
from vyked_host.runtime.client import ServiceClient
from vyked_host.runtime.clock import LoopClock
from vyked_host.runtime.codecs import Codecs
from vyked_host.runtime.instances import Instance
from vyked_host.runtime.links import Link
from vyked_host.runtime.pending import Pending
from vyked_host.runtime.reading import Stream
from vyked_host.runtime.tasks import TaskScope

Size = msgspec.defstruct("Size", [("n", int)], forbid_unknown_fields=True)
ENCODE = msgspec.msgpack.encode
FAILED = Fault(code="INTERNAL", message="it failed", executed="executed")


def endpoint(kind: Kind) -> EndpointDescription:
    return EndpointDescription(
        service="shop", version="1.0.0", name="buy", kind=kind, arguments=Size, result=int, inbound=int
    )


class Scripted:
    """A channel, and the `Running` of its calls. `script` sees each call when it is sent."""

    codec, node_id = "msgpack", "far"

    def __init__(self) -> None:
        self.retired: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        self.surface = Surface(revision=1, endpoints=())
        self.script: Callable[[Call, Any], None] = lambda call, sink: None
        self.sinks: list[Any] = []
        self.calls: list[Call] = []
        self.cancelled: list[Fault] = []
        self.items: list[Any] = []
        self.granted, self.ends, self.room = 0, 0, 1000

    def endpoint(self, wanted: EndpointDescription) -> int:
        return 0

    def dispatch(self, call: Call, sink: Any) -> Any:
        self.sinks.append(sink)
        self.calls.append(call)
        self.script(call, sink)
        return self

    def cancel(self, fault: Fault) -> None:
        self.cancelled.append(fault)

    def item(self, body: Any) -> bool:
        self.items.append(msgspec.msgpack.decode(body))
        self.room -= 1
        return self.room > 0

    def end(self) -> None:
        self.ends += 1

    def credit(self, items: int) -> None:
        self.granted += items

    async def aclose(self) -> None:
        """Nothing to close."""


class Bench:
    """One client of one instance behind a scripted channel."""

    def __init__(self) -> None:
        async def dial(_address: Any, _limit: float) -> Any:
            raise AssertionError("the channel is there")

        record = NodeRecord(node_id="far", namespace="test", addresses=(), instances=())
        link, self.channel = Link(record, dial, 1.0), Scripted()
        link.best.channel = self.channel
        self.instance = Instance("far", {}, 1.0, link)
        self.pending, self.tasks = Pending(limit=None), TaskScope(logging.getLogger("test"))
        settings = ClientTable(timeout=5.0)
        self.client = ServiceClient(
            target=SimpleNamespace(service="shop", settings=settings, instances=(self.instance,), choose=lambda call: self.instance),  # type: ignore[arg-type]
            codecs=Codecs({"msgpack": Msgpack(LimitsTable())}, "msgpack"), clock=LoopClock(asyncio.get_running_loop()),
            pending=self.pending, chain=(), tasks=self.tasks, caller="", balancer=None,
        )  # fmt: skip

    def call(self, kind: Kind = Kind.UNARY, n: Any = 1, inbound: AsyncIterator[Any] | None = None) -> Any:
        return self.client.bind(endpoint(kind))(Size(n), inbound, None)

    @property
    def left(self) -> tuple[int, int, list[str]]:
        """What must be nothing at the end: calls that wait, calls in flight, tasks."""
        return len(self.pending), self.instance.in_flight, self.tasks.names()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made, complaints = Bench(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, found: complaints.append(found))
    yield made
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert made.left == (0, 0, [])
    assert complaints == []


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# ---- one answer ------------------------------------------------------------------------------------------------------
async def test_an_answer_within_dispatch_is_the_result(bench: Bench) -> None:
    bench.channel.script = lambda call, sink: sink.respond(call, ENCODE(7))
    assert await bench.call() == 7


async def test_a_failure_and_a_cancel_in_one_turn_leave_no_unread_error(bench: Bench) -> None:
    call = asyncio.ensure_future(bench.call())
    await turns()
    bench.channel.sinks[0].fail(bench.channel.calls[0], FAILED)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    del call
    bench.channel.sinks.clear()


async def test_an_answer_and_a_cancel_in_one_turn_end_the_call_once(bench: Bench) -> None:
    call = asyncio.ensure_future(bench.call())
    await turns()
    call.cancel()
    bench.channel.sinks[0].respond(bench.channel.calls[0], ENCODE(7))
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(bench.channel.cancelled) == 1


async def test_items_where_one_answer_was_expected_are_an_error_not_a_cancellation(bench: Bench) -> None:
    call = asyncio.ensure_future(bench.call())
    await turns()
    assert bench.channel.sinks[0].item(bench.channel.calls[0], ENCODE(1)) is False
    with pytest.raises(CallNotSupported, match=r"the answer of shop\.buy is a stream"):
        await call
    assert len(bench.channel.cancelled) == 1


async def test_items_within_dispatch_too(bench: Bench) -> None:
    bench.channel.script = lambda call, sink: sink.item(call, ENCODE(1)) and None
    with pytest.raises(CallNotSupported):
        await bench.call()
    assert len(bench.channel.cancelled) == 1


async def test_a_channel_that_raises_leaves_nothing_behind(bench: Bench) -> None:
    def broken(_call: Call, _sink: Any) -> None:
        raise ZeroDivisionError

    bench.channel.script = broken
    with pytest.raises(ZeroDivisionError):
        await bench.call()


async def test_late_answers_resolve_nothing(bench: Bench) -> None:
    call = asyncio.ensure_future(bench.call())
    await turns()
    bench.channel.sinks[0].expire()
    bench.channel.sinks[0].respond(bench.channel.calls[0], ENCODE(7))
    with pytest.raises(DeadlineExceeded, match="far") as late:
        await call
    assert late.value.executed == "unknown"


async def test_each_attempt_stands_for_itself(bench: Bench) -> None:
    def third_time(call: Call, sink: Any) -> None:
        if call.attempt < 3:
            sink.fail(call, Fault(code="UNAVAILABLE", message="draining", executed="not_executed"))
        else:
            sink.respond(call, ENCODE(call.attempt))

    bench.channel.script = third_time
    assert await bench.call() == 3


# ---- streams ---------------------------------------------------------------------------------------------------------
async def test_a_stream_that_fails_before_its_first_item_raises_at_the_first_item(bench: Bench) -> None:
    bench.channel.script = lambda call, sink: sink.fail(call, Fault("UNAVAILABLE", "gone", "unknown"))
    with pytest.raises(Unavailable, match="gone"):
        await anext(bench.call(Kind.SERVER_STREAM))


async def test_items_before_the_failure_come_first(bench: Bench) -> None:
    def one_then_fail(call: Call, sink: Any) -> None:
        sink.item(call, ENCODE(1))
        sink.fail(call, FAILED)

    bench.channel.script = one_then_fail
    reply = bench.call(Kind.SERVER_STREAM)
    assert await anext(reply) == 1
    with pytest.raises(Exception, match="it failed"):
        await anext(reply)


async def test_nothing_is_sent_for_a_stream_nobody_looks_at(bench: Bench) -> None:
    reply = bench.call(Kind.SERVER_STREAM)
    await reply.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(reply)
    assert bench.channel.calls == []


async def test_leaving_early_cancels_the_handler_once(bench: Bench) -> None:
    reply = bench.call(Kind.SERVER_STREAM)
    async with reply:
        bench.channel.sinks[0].item(bench.channel.calls[0], ENCODE(1))
        assert await anext(reply) == 1
    await reply.aclose()
    assert len(bench.channel.cancelled) == 1


async def test_a_consumer_cancelled_while_it_waits_cancels_the_handler(bench: Bench) -> None:
    async def consume(reply: Stream) -> None:
        async for _ in reply:
            pass

    consumer = asyncio.ensure_future(consume(bench.call(Kind.SERVER_STREAM)))
    await turns()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert len(bench.channel.cancelled) == 1


async def test_an_answer_in_place_of_a_stream_is_an_error_not_an_empty_stream(bench: Bench) -> None:
    bench.channel.script = lambda call, sink: sink.respond(call, ENCODE(7))
    with pytest.raises(CallNotSupported, match=r"the answer of shop\.buy is no stream"):
        await anext(bench.call(Kind.SERVER_STREAM))


async def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(bench: Bench) -> None:
    for kind in Kind.UNARY, Kind.SERVER_STREAM, Kind.CLIENT_STREAM:
        with pytest.raises(InvalidPayload) as refused:
            await _first(bench.call(kind, object()))
        assert refused.value.executed == "not_sent"
    assert bench.channel.calls == []


async def _first(answer: Any) -> Any:
    return await (anext(answer) if isinstance(answer, Stream) else answer)


async def test_items_are_credited_as_they_are_taken(bench: Bench) -> None:
    reply = bench.call(Kind.SERVER_STREAM)
    async with reply:
        sink, call = bench.channel.sinks[0], bench.channel.calls[0]
        more = [sink.item(call, ENCODE(n)) for n in range(32)]
        assert more == [True] * 31 + [False]
        assert [await anext(reply) for _ in range(32)] == list(range(32))
        assert bench.channel.granted == 32


async def test_an_answer_that_comes_first_ends_the_callers_stream_and_closes_its_generator(bench: Bench) -> None:
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for n in range(100):
                yield n
        finally:
            closed.append(True)

    bench.channel.room = 3
    call = asyncio.ensure_future(bench.call(Kind.CLIENT_STREAM, inbound=numbers()))
    await turns(6)
    assert bench.channel.items == [0, 1, 2]  # credit is used up
    bench.channel.sinks[0].respond(bench.channel.calls[0], ENCODE(3))
    assert await call == 3
    await turns()
    assert (closed, bench.channel.ends) == ([True], 0)


async def test_both_ways_may_end_in_either_order(bench: Bench) -> None:
    async def two() -> AsyncIterator[int]:
        yield 1
        yield 2

    reply = bench.call(Kind.BOTH_WAYS, inbound=two())
    async with reply:
        await turns(6)
        assert (bench.channel.items, bench.channel.ends) == ([1, 2], 1)
        bench.channel.sinks[0].item(bench.channel.calls[0], ENCODE(5))
        bench.channel.sinks[0].respond(bench.channel.calls[0], None)
        assert [each async for each in reply] == [5]
    assert bench.channel.cancelled == []


async def test_the_callers_own_error_in_its_stream_is_its_own_and_cancels_the_handler(bench: Bench) -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await bench.call(Kind.CLIENT_STREAM, inbound=broken())
    assert len(bench.channel.cancelled) == 1


async def test_a_cancellation_inside_the_callers_stream_is_told_too(bench: Bench) -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    with pytest.raises(Cancelled, match="stream"):
        await asyncio.wait_for(bench.call(Kind.CLIENT_STREAM, inbound=broken()), 1)
    assert len(bench.channel.cancelled) == 1


async def test_a_stream_closed_while_it_begins_is_cancelled_once_it_has_begun(bench: Bench) -> None:
    reply = bench.call(Kind.SERVER_STREAM)
    bench.channel.script = lambda call, sink: sink.expire()  # the deadline passed while it was on its way
    with pytest.raises(DeadlineExceeded):
        await anext(reply)
    assert len(bench.channel.cancelled) == 1
