"""What came too late, or waited for too long, is not run: on every runner and loop, as a transport would dispatch it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.runtime.test_task_semantics import Bench, each_way
from vyked_host.contracts import Fault, Peer
from vyked_host.model.description import EndpointDescription, Kind, Lane
from vyked_host.model.message import Call
from vyked_host.runtime.lag import BLOCKED_S, LATE_S, TICK_S
from vyked_host.runtime.routes import Route
from vyked_host.testing.waiting import eventually

PEER = Peer(address="192.0.2.1:4502", is_member=True)
RAN: list[str] = []


class Ending:
    """A sink: the fault, or None."""

    def __init__(self) -> None:
        self.told: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()

    def respond(self, _call: Call, _body: Any) -> None:
        self.told.set_result(None)

    def fail(self, _call: Call, fault: Fault) -> None:
        self.told.set_result(fault)

    def item(self, _call: Call, _body: Any) -> bool:
        raise AssertionError("no stream here")


@pytest.fixture(autouse=True)
def fresh() -> None:
    RAN.clear()


async def note(argument: str) -> None:
    RAN.append(argument)


def blocks(seconds: float) -> Callable[[str], Awaitable[None]]:
    async def handler(argument: str) -> None:
        RAN.append(argument)
        time.sleep(seconds)  # noqa: ASYNC251 - the fault itself

    return handler


def serve(bench: Bench, handler: Any, lane: Lane = "normal") -> int:
    described = EndpointDescription(
        service="test", version="1.0.0", name=lane, kind=Kind.UNARY, arguments=Any, result=Any, lane=lane
    )
    return bench.dispatcher.add(Route(described, handler, (), bench.codecs, bench.threads))


def call(bench: Bench, endpoint: int, what: str, seconds: float, peer: Peer | None = PEER) -> Call:
    return Call(0, endpoint, "object", what, bench.dispatcher.now() + seconds, peer)


async def dispatched(bench: Bench, *calls: Call, after: Callable[[], None] = lambda: None) -> list[Fault | None]:
    """The ends of `calls`, all of which come in one turn of the loop."""
    ends = [Ending() for _ in calls]

    def turn() -> None:
        after()
        for each, end in zip(calls, ends, strict=True):
            bench.dispatcher.dispatch(each, end)

    bench.turn(turn)
    return [await asyncio.wait_for(end.told, 5) for end in ends]


# ---- time that is over -----------------------------------------------------------------------------------------------
@each_way
async def test_a_call_whose_time_was_over_before_it_began_is_not_executed(bench: Bench) -> None:
    first, second = serve(bench, blocks(0.1)), serve(bench, note)
    calls = [call(bench, first, "first", 5.0), call(bench, second, "late", 0.05), call(bench, second, "in time", 5.0)]
    good, late, other = await dispatched(bench, *calls)
    assert RAN == ["first", "in time"]
    assert (good, other) == (None, None)
    assert late is not None
    assert (late.code, late.executed) == ("DEADLINE_EXCEEDED", "not_executed")


@each_way
async def test_a_call_that_waited_for_a_second_before_it_began_is_not_executed(bench: Bench) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vyked_host.runtime.invocation.BLOCKED_S", 0.1)
        patch.setattr("vyked_host.runtime.pacing.BLOCKED_S", 0.1)
        patch.setattr("vyked_host.runtime.pacing.LATE_S", 0.05)
        first, second = serve(bench, blocks(0.15)), serve(bench, note)
        control = serve(bench, note, "control")
        bench.dispatcher.lag.late_at = bench.dispatcher.now() + 0.05  # for the way that begins handlers at once
        bench.dispatcher.lag._due = bench.dispatcher.now()
        _, late, own, probe = await dispatched(
            bench, call(bench, first, "first", 5.0), call(bench, second, "late", 5.0),
            call(bench, second, "of this process", 5.0, peer=None), call(bench, control, "probe", 5.0),
        )  # fmt: skip
    assert sorted(RAN) == ["first", "of this process", "probe"]
    assert (own, probe) == (None, None)
    assert late is not None
    assert (late.code, late.executed) == ("RESOURCE_EXHAUSTED", "not_executed")
    assert late.retry_after_s


# ---- a loop that was blocked: row L1 ---------------------------------------------------------------------------------
async def after_a_blockage(bench: Bench, seconds: float, *calls: Callable[[], Call]) -> list[Fault | None]:
    """The ends of `calls` that are read from their sockets in the turn after the loop was blocked."""
    measuring = asyncio.ensure_future(bench.dispatcher.lag.measure())
    await asyncio.sleep(0)
    ends = [Ending() for _ in calls]

    def read() -> None:
        for make, end in zip(calls, ends, strict=True):
            bench.dispatcher.dispatch(make(), end)

    def block() -> None:
        time.sleep(seconds)
        read()

    bench.turn(block)
    found = [await asyncio.wait_for(end.told, 5) for end in ends]
    await eventually(lambda: bench.dispatcher.lag.late)  # the timer has come: the blockage is over
    measuring.cancel()
    return found


@each_way
async def test_what_came_while_the_loop_was_blocked_for_a_second_is_refused_and_told_when_to_come_again(
    bench: Bench,
) -> None:
    plain, control = serve(bench, note), serve(bench, note, "control")
    refused, own, probe = await after_a_blockage(
        bench, BLOCKED_S + TICK_S,
        lambda: call(bench, plain, "came meanwhile", 5.0),
        lambda: call(bench, plain, "of this process", 5.0, peer=None),
        lambda: call(bench, control, "probe", 5.0),
    )  # fmt: skip
    assert RAN == ["of this process", "probe"]
    assert (own, probe) == (None, None)
    assert refused is not None
    assert (refused.code, refused.executed) == ("RESOURCE_EXHAUSTED", "not_executed")
    assert refused.retry_after_s
    (after,) = await dispatched(bench, call(bench, plain, "afterwards", 5.0))
    assert after is None


@each_way
async def test_after_a_short_blockage_only_calls_are_refused_whose_time_may_have_passed_in_it(bench: Bench) -> None:
    plain = serve(bench, note)
    short, long = await after_a_blockage(
        bench, LATE_S + TICK_S + 0.02,
        lambda: call(bench, plain, "short", LATE_S / 2), lambda: call(bench, plain, "long", 5.0),
    )  # fmt: skip
    assert RAN == ["long"]
    assert long is None
    assert short is not None
    assert (short.code, short.executed) == ("RESOURCE_EXHAUSTED", "not_executed")
