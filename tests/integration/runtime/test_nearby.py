"""Calls inside one process are composed: what holds for all calls holds for them, in their first step and after it.

Each claim is made of both ways: the composed one ("auto"), and that of all calls, which the reference runner takes ("task").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from vyked_host import Service, ServiceError, api, client, context
from vyked_host.assembly import Host
from vyked_host.errors import DeadlineExceeded, InvalidPayload, Overloaded, RemoteFailure, Unavailable
from vyked_host.model.phase import Phase
from vyked_host.runtime.first_step import NearCall
from vyked_host.testing.waiting import eventually

from .party import Party

WAYS = ["auto", "task"]
TEXT = '[plugins]\nautoload = false\n[transports.local]\n[host]\nrunner = "{way}"\n'
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Bag(Struct):
    names: list[str]


class Gone(ServiceError, code="gone"):
    name: str


class Inner(Service, name="inner", version="1.0.0"):
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[Any] = []
        self.host: Host | None = None

    @api
    async def add(self, a: int, b: int = 1) -> int:
        return a + b

    @api
    async def named(self, a: int, *, b: int = 2) -> list[int]:
        return [a, b]

    @api
    def plain(self, a: int) -> int:
        return a + 1

    @api(blocking=True)
    def blocking(self, a: int) -> int:
        return a + 1

    @api
    async def keep(self, bag: Bag, name: str = "") -> None:
        self.seen.append(bag)

    @api
    async def in_flight(self) -> int:
        assert self.host is not None
        found: int = self.host.node.statistics()["calls"]["inner.in_flight"]["in_flight"]
        return found

    @api
    async def places(self) -> int:
        assert self.host is not None
        return len(self.host.node.dispatcher.running) + len(self.host.node.clients[0].pending.waiting)

    @api
    async def hold(self) -> str:
        self.seen.append("holds")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        return "done"

    @api(timeout=0.2)
    async def short(self) -> float:
        found = context().remaining
        await asyncio.sleep(0)
        return found

    @api(raises=[Gone])
    async def fails(self, how: str) -> None:
        if how == "late":
            await asyncio.sleep(0)
        if how == "declared":
            raise Gone("it")
        raise ZeroDivisionError

    @api
    async def wrong(self) -> Bag:
        return Bag([1])  # type: ignore[list-item]

    @api
    async def said(self) -> list[str]:
        found = context()
        who = found.caller.service if found.caller is not None else ""
        return [who, str(found.attempt), found.traceparent, found.metadata.get("own", ""), found.id.partition("-")[0]]

    @api
    async def left(self) -> float:
        return context().remaining

    @api
    async def where(self) -> str:
        assert self.host is not None
        return self.host.node.record.node_id


class Outer(Service, name="outer", version="1.0.0"):
    inner = client(Inner)

    @api
    async def asks(self) -> list[str]:
        return await self.inner.said()

    @api
    async def left(self) -> float:
        return await self.inner.left()

    @api
    async def hold(self) -> str:
        return await self.inner.hold()


@pytest.fixture(params=WAYS)
async def host(request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    async with Host(Inner, Outer, text=TEXT.format(way=request.param)) as running:
        running.instance(Inner).host = running
        yield running
        assert idle(running)


def idle(host: Host) -> bool:
    """Is nothing left of any call, in no table of either end?"""
    node = host.node
    targets = [each.target for each in node.clients]
    return (
        not node.dispatcher.running
        and node.dispatcher.pacing.aside == 0
        and all(route.counters.in_flight == 0 for route in node.dispatcher.routes)
        and not any(each.pending.waiting for each in node.clients)
        and not any(instance.in_flight for target in targets for instance in target.instances)
    )


def counted(host: Host, side: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = host.node.statistics()[side][path]
    return found


def own_way(host: Host) -> bool:
    return host.node.settings.host.runner == "auto"


# ---- which way is taken ----------------------------------------------------------------------------------------------
async def test_a_call_that_suspends_goes_on_in_the_tables_of_all_calls(host: Host) -> None:
    call = asyncio.ensure_future(host.client(Inner).hold())
    await eventually(lambda: host.instance(Inner).seen)
    (running,) = host.node.dispatcher.running
    assert isinstance(running, NearCall) == own_way(host)
    assert not idle(host)
    host.instance(Inner).gate.set()
    assert await call == "done"
    assert idle(host)


async def test_a_call_that_does_not_suspend_needs_no_place_in_them(host: Host) -> None:
    assert await host.client(Inner).places() == (0 if own_way(host) else 2)


# ---- arguments -------------------------------------------------------------------------------------------------------
async def test_arguments_are_the_same_however_they_were_given(host: Host) -> None:
    inner = host.client(Inner)
    for _ in range(2):  # the first call of an endpoint goes the way of all calls
        assert [await inner.add(1), await inner.add(1, 2), await inner.add(b=3, a=1)] == [2, 3, 4]
        assert [await inner.named(1), await inner.named(1, b=3), await inner.named(b=3, a=1)] == [
            [1, 2],
            [1, 3],
            [1, 3],
        ]
        assert [await inner.plain(1), await inner.blocking(a=1)] == [2, 2]
    with pytest.raises(TypeError, match=r"inner\.add\(a: int, b: int = 1\)"):
        inner.add(1, 2, 3)  # type: ignore[call-arg]


async def test_what_can_be_changed_is_copied(host: Host) -> None:
    bag = Bag(["a"])
    for _ in range(2):
        await host.client(Inner).keep(bag)
        await host.client(Inner).keep(bag, "name")
    assert host.instance(Inner).seen == [bag] * 4
    assert not any(each is bag or each.names is bag.names for each in host.instance(Inner).seen)


# ---- counters --------------------------------------------------------------------------------------------------------
async def test_both_ends_count_each_call_and_how_long_it_took(host: Host) -> None:
    inner = host.client(Inner)
    assert [await inner.add(n) for n in range(300)] == [n + 1 for n in range(300)]
    for side in ("calls", "clients"):
        found = counted(host, side, "inner.add")
        assert (found["ok"], found["failed"], found["in_flight"]) == (300, 0, 0)
        assert sum(found["histogram_us_log2"]) == 300
        assert found["total_s"] > 0.0


async def test_a_call_is_in_flight_from_its_first_line(host: Host) -> None:
    assert await host.client(Inner).in_flight() == 1
    assert counted(host, "calls", "inner.in_flight")["in_flight"] == 0


@pytest.mark.parametrize(("how", "code"), [("declared", "APPLICATION"), ("at once", "INTERNAL"), ("late", "INTERNAL")])
async def test_a_failure_is_counted_and_kept_at_both_ends_and_told_once(
    host: Host, caplog: pytest.LogCaptureFixture, how: str, code: str
) -> None:
    with pytest.raises(Gone if how == "declared" else RemoteFailure):
        await host.client(Inner).fails(how)
    assert counted(host, "calls", "inner.fails")["codes"] == {code: 1}
    assert sum(counted(host, "clients", "inner.fails")["codes"].values()) == 1
    kept = host.node.clients[0].failures.calls
    assert [(each.side, each.endpoint, each.code) for each in kept] == [
        ("callee", "inner.fails", code), ("caller", "inner.fails", code)
    ]  # fmt: skip
    assert {each.number for each in kept} != {0}
    assert len({each.id for each in kept}) == 1
    logged = [each for each in caplog.records if "failed [" in each.getMessage()]
    assert len(logged) == (code == "INTERNAL")
    assert await host.client(Inner).add(1) == 2


async def test_the_access_log_has_a_line_for_each_call_where_it_is_to_have_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for way in WAYS:
        caplog.clear()
        async with Host(Inner, text=TEXT.format(way=way) + '[logging]\naccess = "all"\nlevel = "info"\n') as host:
            with caplog.at_level(logging.INFO):
                await host.client(Inner).add(1)
        assert [
            each.getMessage().partition(" in ")[0] for each in caplog.records if "inner.add" in each.getMessage()
        ] == ["inner.add OK"], way


# ---- limits ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("limit", "executed"), [("in_flight", "not_executed"), ("pending", "not_sent")])
async def test_who_comes_beyond_a_limit_is_refused_and_the_next_one_is_not(way: str, limit: str, executed: str) -> None:
    async with Host(Inner, text=TEXT.format(way=way) + f"[limits]\n{limit} = 1\n") as host:
        inner = host.client(Inner)
        assert await inner.add(1) == 2
        held = asyncio.ensure_future(inner.hold())
        await eventually(lambda: host.instance(Inner).seen)
        with pytest.raises(Overloaded) as refused:
            await inner.add(1)
        assert refused.value.executed == executed
        host.instance(Inner).gate.set()
        assert await held == "done"
        assert await inner.add(2) == 3
        assert idle(host)


async def test_a_call_is_refused_while_the_host_drains_and_those_that_run_are_waited_for(host: Host) -> None:
    inner = host.client(Inner)
    held = asyncio.ensure_future(inner.hold())
    await eventually(lambda: host.instance(Inner).seen)
    host.node.dispatcher.close("it drains")
    with pytest.raises(Unavailable, match="it drains") as refused:
        await inner.add(1)
    assert refused.value.executed == "not_executed"
    drained = asyncio.ensure_future(host.node.dispatcher.idle())
    await asyncio.sleep(0)
    assert not drained.done()
    host.instance(Inner).gate.set()
    await asyncio.wait_for(drained, 5)
    assert await held == "done"


async def test_an_endpoint_that_is_not_served_any_more_is_not_called(host: Host) -> None:
    inner = host.client(Inner)
    assert await inner.add(1) == 2
    host.node.dispatcher.remove("inner")
    with pytest.raises(Exception, match="there is no endpoint") as failed:
        await inner.add(1)
    assert getattr(failed.value, "executed", "") == "not_executed"


# ---- time ------------------------------------------------------------------------------------------------------------
async def test_a_call_has_the_time_of_its_client_and_no_more_than_its_caller(host: Host) -> None:
    assert 9.0 < await host.client(Inner).left() <= 10.0
    assert await host.client(Outer).left.using(timeout=2.0)() < 2.0
    assert 0.0 < await host.client(Inner).short() <= 0.2


async def test_a_late_answer_is_dropped_and_nothing_is_left_of_it(host: Host) -> None:
    inner, instance = host.client(Outer), host.instance(Inner)
    with pytest.raises(DeadlineExceeded):
        await inner.hold.using(timeout=0.05)()
    await eventually(lambda: "cancelled" in instance.seen)
    await eventually(lambda: idle(host))
    assert counted(host, "clients", "inner.hold")["failed"] == 1


async def test_a_call_of_a_caller_without_time_is_not_begun(host: Host) -> None:
    class Slow(Service, name="slow", version="1.0.0"):
        inner = client(Inner)

        @api
        async def late(self) -> str:
            while context().remaining > 0.004:  # noqa: ASYNC110 - time has to pass
                await asyncio.sleep(0.001)
            try:
                await self.inner.hold()
            except DeadlineExceeded as error:
                return error.executed
            return ""

    async with Host(Inner, Slow, text=TEXT.format(way=host.node.settings.host.runner)) as other:
        assert await other.client(Slow).late.using(timeout=0.3)() == "not_sent"
        assert other.instance(Inner).seen == []
        await eventually(lambda: idle(other))


# ---- what goes with it, and comes back -------------------------------------------------------------------------------
async def test_caller_trace_and_metadata_go_on_with_it(host: Host) -> None:
    assert await host.client(Inner).said() == ["", "1", "", "", "local"]
    outer = host.client(Outer).asks.using(metadata={"traceparent": PARENT, "own": "1"})
    assert await outer() == ["outer", "1", PARENT, "", "local"]
    inner = host.client(Inner).said.using(metadata={"traceparent": PARENT, "own": "1"})
    assert await inner() == ["", "1", PARENT, "1", "local"]


async def test_an_answer_of_another_type_is_the_callers_error_and_was_executed(host: Host) -> None:
    with pytest.raises(InvalidPayload) as failed:
        await host.client(Inner).wrong()
    assert failed.value.executed == "executed"
    assert counted(host, "calls", "inner.wrong")["ok"] == 1
    assert counted(host, "clients", "inner.wrong")["failed"] == 1


async def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(host: Host) -> None:
    with pytest.raises(InvalidPayload) as refused:
        await host.client(Inner).add("1")  # type: ignore[arg-type]
    assert refused.value.executed == "not_sent"
    assert counted(host, "calls", "inner.add")["failed"] == 0


async def test_a_caller_that_is_cancelled_cancels_the_handler_of_the_handler(host: Host) -> None:
    call = asyncio.ensure_future(host.client(Outer).hold())
    await eventually(lambda: host.instance(Inner).seen)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: host.instance(Inner).seen == ["holds", "cancelled"])
    await eventually(lambda: idle(host))


async def test_a_hosts_second_signal_ends_a_call_that_suspended(host: Host) -> None:
    call = asyncio.ensure_future(host.client(Inner).hold())
    await eventually(lambda: host.instance(Inner).seen)
    assert host.node.dispatcher.abort() == ["inner.hold"]
    with pytest.raises(Unavailable):
        await call


# ---- where it goes ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", WAYS)
async def test_an_instance_that_goes_away_is_left_for_another_and_preferred_again_once_it_is_back(
    party: Party, way: str
) -> None:
    here, there = await hosted(party, way), await hosted(party, "auto")
    names = [each.node.record.node_id for each in (here, there)]
    inner = here.client(Inner)
    target = here.node.clients[-1].target
    await eventually(lambda: len(target.instances) == 2)
    assert await inner.where() == names[0]
    (own,) = [each for each in target.instances if each.node_id == names[0]]
    own.usable = False
    assert await inner.where() == names[1]
    own.usable = True
    assert await inner.where() == names[0]
    here.node.dispatcher.close("it drains")
    assert await inner.where() == names[1]  # refused here, and tried there
    assert here.node.phase == Phase.SERVING.value


async def hosted(party: Party, way: str) -> Host:
    host = await party.host(Inner, overrides=[f'host.runner="{way}"'])
    host.instance(Inner).host = host
    return host
