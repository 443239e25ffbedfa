"""Handlers that compute, and what comes meanwhile: on every runner and loop, by a clock that only handlers move."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.integration.runtime.test_task_semantics import Bench, Request, each_way
from vyked_host.contracts import Fault, Peer
from vyked_host.model.description import EndpointDescription, Kind, Lane
from vyked_host.model.message import Call
from vyked_host.runtime.dispatcher import Dispatcher
from vyked_host.runtime.line import PATIENT_S, TURN_S
from vyked_host.runtime.routes import Route

PEER = Peer(address="192.0.2.1:4502", is_member=True)
GIVEN_UP = Fault(code="CANCELLED", message="the caller gave up", executed="unknown")
COMPUTES_S = 0.005
SECONDS = 5.0
"""Of the clock, for which there is too much to do."""


class Moving:
    """A clock. Handlers take time, and nothing else does."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds

    unix = now

    def at(self, _when: float, _expired: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    expire = at


class Answer:
    """The end of one call: when it came, when its caller heard, and what."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self.came, self.heard = desk, desk.clock.seconds, 0.0
        self.fault: Fault | None = None
        self.told = asyncio.get_running_loop().create_future()
        self.running: Any = None

    def respond(self, _call: Call, _body: Any) -> None:
        self._end(None)

    def fail(self, _call: Call, fault: Fault) -> None:
        self._end(fault)

    def item(self, _call: Call, _body: Any) -> bool:
        raise AssertionError("no stream here")

    def _end(self, fault: Fault | None) -> None:
        assert not self.told.done(), "two outcomes"
        self.fault, self.heard = fault, self._desk.clock.seconds
        self.told.set_result(None)

    @property
    def waited_s(self) -> float:
        return self.heard - self.came


class Desk:
    """A dispatcher with that clock, and one handler that computes for as long as it is told."""

    def __init__(self, bench: Bench, *, adaptive: bool = False) -> None:
        self.bench, self.clock, self.ran = bench, Moving(), list[str]()
        bench.dispatcher = self.dispatcher = Dispatcher(
            clock=self.clock, log=logging.getLogger("test"), in_flight_limit=None, run=bench.runner, adaptive=adaptive
        )  # fmt: skip
        self.dispatcher.line.processor = self.clock.now
        self._served: dict[Lane, int] = {lane: self._serve(lane) for lane in ("normal", "control")}

    def _serve(self, lane: Lane) -> int:
        async def compute(argument: tuple[str, float]) -> None:
            name, seconds = argument
            self.ran.append(name)
            self.clock.seconds += seconds

        described = EndpointDescription(
            service="test", version="1.0.0", name=lane, kind=Kind.UNARY, arguments=Any, result=Any, lane=lane
        )
        return self.dispatcher.add(Route(described, compute, (), self.bench.codecs, self.bench.threads))

    def come(
        self, name: str = "", seconds: float = COMPUTES_S, *, peer: Peer | None = PEER, lane: Lane = "normal", time_s: float = 30.0
    ) -> Answer:  # fmt: skip
        """One call comes."""
        answer = Answer(self)
        call = Call(0, self._served[lane], "object", (name, seconds), self.clock.seconds + time_s, peer)
        if self.bench.in_request:
            answer.running = Request(self.dispatcher, call, answer)  # type: ignore[arg-type]
        else:
            answer.running = self.dispatcher.dispatch(call, answer)
        return answer


async def turns(until: Callable[[], bool], *each: Callable[[], None]) -> None:
    """Turns of the loop, in each of which sockets are read."""
    async with asyncio.timeout(10):
        while not until():
            for one in each:
                one()
            await asyncio.sleep(0)


async def all_told(*answers: Answer) -> None:
    await turns(lambda: all(each.told.done() for each in answers))


async def flood(bench: Bench, *, adaptive: bool) -> None:
    desk, answers, read_at = Desk(bench, adaptive=adaptive), list[Answer](), list[float]()
    began = desk.clock.seconds

    def read() -> None:
        read_at.append(desk.clock.seconds)
        wanted = int((desk.clock.seconds - began) * 5 / COMPUTES_S) + 1
        answers.extend(desk.come() for _ in range(wanted - len(answers)))

    await turns(lambda: desk.clock.seconds >= began + SECONDS, read)
    await all_told(*answers)
    refused = [each for each in answers if each.fault is not None]
    done = [each for each in answers if each.fault is None]
    assert len(refused) > 3 * len(done)
    assert {(each.fault.code, each.fault.executed, each.fault.type) for each in refused if each.fault} == {
        ("RESOURCE_EXHAUSTED", "not_executed", "")  # the load is the reason, so it would be no use to come again soon
    }
    assert all(each.fault.retry_after_s for each in refused if each.fault)
    assert max(each.waited_s for each in refused) < 0.05
    assert max(each.waited_s for each in done) < (0.2 if adaptive else 1.0)
    assert len(done) * COMPUTES_S > 0.95 * SECONDS
    pauses = [after - before for before, after in pairwise(read_at)]
    assert max(pauses) < 2 * (TURN_S + COMPUTES_S) + 0.001


@each_way
async def test_five_times_too_many_calls_that_compute_are_refused_within_50_ms(bench: Bench) -> None:
    await flood(bench, adaptive=False)


@each_way
async def test_where_the_limit_adapts_calls_that_compute_hardly_wait(bench: Bench) -> None:
    await flood(bench, adaptive=True)


@each_way
async def test_a_burst_that_gets_done_in_time_is_done_in_the_order_in_which_it_came(bench: Bench) -> None:
    desk = Desk(bench)
    burst = [desk.come(str(number)) for number in range(int(PATIENT_S / COMPUTES_S))]
    await all_told(*burst)
    assert [each.fault for each in burst] == [None] * len(burst)
    assert desk.ran == list(map(str, range(len(burst))))
    (after,) = [desk.come("afterwards")]
    await all_told(after)
    assert (after.fault, len(desk.dispatcher.line)) == (None, 0)


@each_way
async def test_one_handler_that_takes_long_refuses_none_of_the_others(bench: Bench) -> None:
    desk = Desk(bench)
    burst = [desk.come(str(number), 0.3 if number == 3 else 0.001) for number in range(200)]
    await all_told(*burst)
    assert [each.fault for each in burst] == [None] * 200


@each_way
async def test_calls_of_this_process_and_of_the_control_lane_do_not_stand_in_line(bench: Bench) -> None:
    desk = Desk(bench)
    burst = [desk.come("other") for _ in range(100)]
    await turns(lambda: len(desk.dispatcher.line) > 0)
    own, probe = desk.come("own", peer=None), desk.come("probe", lane="control")
    await all_told(own, probe)
    assert len(desk.dispatcher.line) > 80
    await all_told(*burst)


@each_way
async def test_who_gives_up_in_line_hears_at_once_and_is_not_executed(bench: Bench) -> None:
    desk = Desk(bench)
    burst = [desk.come("other") for _ in range(100)]
    last = desk.come("last")
    await turns(lambda: len(desk.dispatcher.line) > 0)
    last.running.cancel(GIVEN_UP)
    await all_told(last)
    assert last.fault is not None
    assert (last.fault.code, last.fault.executed) == ("CANCELLED", "not_executed")
    assert len(desk.ran) < 10
    await all_told(*burst)
    assert "last" not in desk.ran


@each_way
async def test_whose_time_is_over_in_line_is_not_executed(bench: Bench) -> None:
    desk = Desk(bench)
    burst = [desk.come("other") for _ in range(100)]
    short = desk.come("short", time_s=0.1)
    await all_told(short, *burst)
    assert short.fault is not None
    assert (short.fault.code, short.fault.executed) == ("DEADLINE_EXCEEDED", "not_executed")
    assert "short" not in desk.ran


@each_way
async def test_who_comes_to_a_line_that_outlasts_its_time_hears_so_at_once(bench: Bench) -> None:
    desk = Desk(bench)
    burst = [desk.come("other") for _ in range(150)]
    await turns(lambda: desk.dispatcher.line.seconds > 0.3)
    ran, short = len(desk.ran), desk.come("short", time_s=0.2)
    await all_told(short)
    assert short.fault is not None
    assert (short.fault.code, short.fault.executed) == ("RESOURCE_EXHAUSTED", "not_executed")
    assert len(desk.ran) - ran < 10
    await all_told(*burst)
