"""A chain of four hops over TCP, HTTP, TCP and within one process: what goes down it, and what ends it (rows C1 and C3)."""

import asyncio
import re
import shutil
import time
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import pytest

from vyked_host.assembly.asking import Asker
from vyked_host.errors import CallError

from . import chain
from .chain import First, Last, Second
from .history import percentile
from .mesh import UNSCALED, meets

CANCELS = 200
AT_ONCE = 10
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = {"traceparent": PARENT, "tracestate": "vendor=1", "baggage": "tenant=acme"}


@pytest.fixture
def mesh(new_mesh):
    """Of the chain's three processes."""
    return new_mesh(UNSCALED)


@pytest.fixture
async def driver(mesh):
    """A host of this process that calls the first of the chain."""
    shutil.copy(chain.__file__, mesh.folder / "chain.py")
    http = ["transports.tcp.port=0", "transports.http.port=0"]
    started = [
        mesh.run("c", "host.name=c", "services.third.use=chain:Third", "services.last.use=chain:Last"),
        mesh.run("b", "host.name=b", "services.second.use=chain:Second", *http, "clients.third.transport=tcp"),
        mesh.run("a", "host.name=a", "services.first.use=chain:First", *http, "clients.second.transport=http"),
    ]
    for each in started:
        await each.ready()
    host = await mesh.driver()
    for each in ("first", "second", "third", "last"):
        await meets(host, each, 1)
    await host.client(First).tell("warm")  # every connection of the chain is open from now on
    return host


async def test_the_trace_goes_down_the_chain_and_the_time_that_is_left_shrinks(driver, timeline):
    first = driver.client(First)
    said = {**TRACE, "authorization": "Bearer secret"}
    hops = await first.tell.using(metadata=said, timeout=5.0)("t1")
    heard = await first.event("t1")
    timeline.note("C3", remaining=[round(each.remaining, 4) for each in hops])
    assert [each.endpoint for each in hops] == ["first.tell", "second.tell", "third.tell", "last.tell"]
    assert [each.caller for each in hops] == ["", "first", "second", "third"]
    assert [each.metadata for each in hops] == [said, TRACE, {**TRACE, "tenant": "acme"}, TRACE]
    left = [5.0, *(each.remaining for each in hops)]
    assert all(later < earlier for earlier, later in pairwise(left))
    assert heard.metadata == TRACE
    assert heard.endpoint == "last.reached@1"


async def test_C3_nothing_is_started_when_no_time_is_left(driver):
    first, second, last = driver.client(First), driver.client(Second), driver.client(Last)
    with pytest.raises(CallError):  # its own deadline, or the handler's failure by that of the call it made
        await first.call_when_it_is_too_late.using(timeout=0.2)("late")
    async with asyncio.timeout(5.0):
        while not (refused := await second.refusal("late")):  # noqa: ASYNC110 - another process's state, asked for
            await asyncio.sleep(0.01)
    assert refused == "not_sent"
    assert not await last.has_begun("late")


async def test_a_cancel_reaches_the_last_of_four_hops_at_once_and_leaves_nothing_behind(driver, mesh, timeline):
    asker = Asker(driver._composition)
    nodes = [asker.node(each) for each in driver.node.directory.nodes.values()]
    await many(driver, "warm")  # and as many connections as so many calls at once need
    before = await settled(driver, nodes)
    took, slack = [], mesh.slack()
    for batch in range(CANCELS // AT_ONCE):
        took += await many(driver, f"c{batch}")
    timeline.note("C1", cancels=len(took), p50=percentile(took, 0.5), p99=percentile(took, 0.99), longest=max(took))
    async with asyncio.timeout(10.0):
        while is_more(after := await left_behind(driver, nodes), before):  # noqa: ASYNC110 - others' state, asked for
            await asyncio.sleep(0.05)
    timeline.note("left", of=after)
    await asker.aclose()
    assert len(took) == CANCELS
    assert percentile(took, 0.99) <= 0.5 + slack()


async def many(host, name):
    """As many at once as the scenario has."""
    return await asyncio.gather(*(cancelled(host, f"{name}-{each}") for each in range(AT_ONCE)))


async def cancelled(host, token):
    """One call that is given up: seconds until its last handler was cancelled."""
    last = host.client(Last)
    call = asyncio.ensure_future(host.client(First).hang(token))
    await last.until_begun(token)
    gave_up = time.monotonic()
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    return await last.until_cancelled(token) - gave_up


async def settled(host, nodes):
    """What there is once it is the same twice: what was cancelled before is cleared away in its own time."""
    found, before = await left_behind(host, nodes), None
    async with asyncio.timeout(10.0):
        while found != before:
            await asyncio.sleep(0.25)
            before, found = found, await left_behind(host, nodes)
    return found


def is_more(after, before):
    """Are the counts of calls others, or is there a task that was not there? What hosts do at their start may have ended meanwhile."""
    return after[0] != before[0] or any(
        Counter(now) - Counter(then) for now, then in zip(after[1], before[1], strict=True)
    )


async def left_behind(host, nodes):
    """At each hop: calls that wait for an answer, calls that run, and tasks; nothing in it is of the one that asks."""
    reports = [await each.report() for each in nodes]
    tasks = [[re.sub("[0-9]+", "", name) for name in await host.client(each).tasks()] for each in (First, Second, Last)]
    return {each.node: (each.waiting, each.in_flight) for each in reports}, tasks
