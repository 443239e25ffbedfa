"""Clocks, pauses and blocked loops: rows T1, T2 and L1."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from vyked_host.errors import DeadlineExceeded, HeldUp, VykedError
from vyked_host.runtime.clock import GRACE_S, HELD_UP_S
from vyked_host.testing.waiting import eventually

from .fleet import Worker
from .history import breaches_of_calls, breaches_of_emptiness
from .load import Calls, Watching
from .mesh import PING, PONG, SLACK, UNSCALED, T, knows, meets
from .test_registry import Census

HOUR = 3600.0
LONG_S = 4.0
"""Far more than the second from which on calls are refused: they have to come while the loop is blocked, on a busy machine too."""


async def passes(seconds):
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 10)


# ---- T1 ----------------------------------------------------------------------------------------------------------------
async def test_T1_a_wall_clock_that_jumps_changes_nothing(mesh, timeline, monkeypatch):
    """All hosts of this process; `make chaos` does it to processes with libfaketime."""
    true, jumped = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: true() + jumped[0])  # before there are hosts, which keep it
    hosts = await mesh.hosts(5, Worker)
    driver = await mesh.driver()
    await meets(driver, "worker", 5)
    watcher, census = Watching(driver, "driver"), Census(driver, "worker")
    mesh.defer(watcher.aclose)
    mesh.defer(census.aclose)
    await eventually(lambda: watcher.told)
    errors = []
    async with Calls(driver, tasks=10, rate=100) as load:
        for jump in (HOUR, -HOUR, 2 * HOUR, -2 * HOUR, 0.0):
            jumped[0] = jump
            assert abs(hosts[0].node.clock.unix() - true() - jump) < 60
            slack = mesh.slack()
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await driver.client(Worker).work.using(timeout=0.3)(f"slow{jump}", 2.0)
            late, held_up = time.monotonic() - began - 0.3, slack() - SLACK
            errors.append(late - held_up - (GRACE_S if held_up > HELD_UP_S else 0.0))
            await passes(T)
    monkeypatch.undo()
    timeline.note("T1", deadlines_off_by=errors, failures=load.failures(), gone=watcher.gone)
    runs = [each for each in mesh.executions() if not each.id.startswith("slow")]
    assert breaches_of_calls(load.made, runs) + watcher.breaches() + breaches_of_emptiness(census.counts, least=5) == []
    assert load.failed == []
    assert watcher.gone == {}
    assert max(errors) <= 0.1


# ---- T2 ----------------------------------------------------------------------------------------------------------------
async def test_T2_a_pause_of_all_processes_removes_nobody(mesh, timeline):
    """A machine that slept: every process is stopped for 5 T, the registry's among them."""
    processes = [mesh.spawn(f"w{each}", "worker") for each in range(4)]
    for each in processes:
        await each.ready()
    driver = await mesh.driver()
    await meets(driver, "worker", 4)
    watcher = Watching(driver, "driver")
    mesh.defer(watcher.aclose)
    await eventually(lambda: len(watcher.nodes) >= 4)
    for each in processes:
        each.freeze()
    timeline.note("SIGSTOP of all")
    await passes(5 * T)
    for each in processes:
        each.thaw()
    timeline.note("SIGCONT of all")
    await passes(3 * T)
    names = {each.node_id for each in processes}
    timeline.note("T2", gone=watcher.gone, known=len(knows(driver, "worker")))
    assert names & set(watcher.gone) == set()
    assert watcher.downs == {}
    assert watcher.breaches() == []
    await eventually(lambda: knows(driver, "worker") == names)
    async with Calls(driver, tasks=10, rate=100) as load:
        await passes(T)
    assert load.failed == []
    assert set(load.nodes) == {each.name for each in processes}


async def test_T2_a_pause_of_everything_that_outlasts_deadlines_fails_no_call_that_was_nearly_done(new_mesh, timeline):
    """A machine without its processors for a second, caller and callee alike."""
    mesh = new_mesh(UNSCALED)
    process = await mesh.start("w1", "worker")
    driver = await mesh.driver()
    await meets(driver, "worker", 1)
    work = driver.client(Worker).work.using(timeout=0.6)
    calls = [asyncio.ensure_future(work(f"c{each}", 0.2)) for each in range(5)]
    await eventually(lambda: len(mesh.executions()) == 5)
    process.freeze()
    time.sleep(1.0)  # noqa: ASYNC251 - this loop is stopped too
    process.thaw()
    assert await asyncio.gather(*calls) == ["w1"] * 5
    assert not process.has_said("the deadline passed")


# ---- L1 ----------------------------------------------------------------------------------------------------------------
def readiness(address):
    """(status, body) of /-/ready."""
    try:
        with urlopen(f"{address}/-/ready", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_L1_a_blocked_loop_is_named_not_ready_and_cut_off_by_how_long_it_lasts(mesh, timeline):
    process = await mesh.start("w1", "worker", sets=["transports.http.port=0"])
    address = next(each for each in process.facts["addresses"] if each.startswith("http"))
    driver = await mesh.driver()
    await meets(driver, "worker", 1)
    worker = driver.client(Worker)
    await worker.look("before")
    way = driver.node.directory._links[process.node_id].best

    def blocked():
        return [line for line in process.lines if "the event loop is blocked" in line]

    # 0.1 s, half a heartbeat: nobody notices
    channel = way.channel
    await worker.block(0.1)
    assert way.channel is channel
    assert (await asyncio.to_thread(readiness, address))[0] == 200
    # 1.3 s: named with its line, not ready for a moment; peers cut it off after PING + PONG
    blocking = asyncio.ensure_future(worker.block.using(timeout=5)(1.3))
    began = time.monotonic()
    await eventually(channel.retired.done)
    cut = time.monotonic() - began
    status, body = await asyncio.to_thread(readiness, address)
    with pytest.raises(VykedError):
        await blocking
    said = blocked()
    await eventually(lambda: knows(driver, "worker"))
    assert await worker.look("after") == "w1"
    deadline = time.monotonic() + 5
    while (await asyncio.to_thread(readiness, address))[0] != 200:
        assert time.monotonic() < deadline
    timeline.note("L1", cut_after=cut, ready=status, reasons=body[:160], named=len(said))
    assert cut <= PING + PONG + mesh.slack()()
    assert status == 503
    assert "event loop" in body
    assert len(blocked()) == 1
    assert re.search(r"time\.sleep\(seconds\)", said[0])


async def while_blocked(mesh, worker, seconds, name, count=20):
    """The ends of calls that are made while the loop of the worker is blocked."""
    blocking = asyncio.ensure_future(worker.block.using(timeout=30)(seconds))
    await eventually(lambda: f"block {seconds}" in [each.id for each in mesh.executions()])
    calls = [worker.work.using(timeout=30)(f"{name}-{each}") for each in range(count)]
    ends = await asyncio.gather(*calls, return_exceptions=True)
    await blocking
    return ends


async def test_L1_what_was_refused_for_a_blocked_loop_is_made_again_within_the_budget(new_mesh, timeline):
    """By the same instance, for there is no other; no more often than the budget says, and each at most once."""
    mesh = new_mesh(UNSCALED)
    await mesh.start("w1", "worker")
    driver = await mesh.driver()
    await meets(driver, "worker", 1)
    worker = driver.client(Worker)
    few = await while_blocked(mesh, worker, LONG_S, "few")
    many = await while_blocked(mesh, worker, LONG_S + 1, "many", 400)
    ran = Counter(each.id.partition("-")[0] for each in mesh.executions())
    extra = driver.node.statistics()["clients"]["worker.work"]["decisions"]["retries"]
    timeline.note("L1", few=Counter(map(str, few)), many=Counter(type(each).__name__ for each in many), extra=extra)
    assert few == ["w1"] * 20
    assert ran["few"] == 20
    ends = Counter(type(each) for each in many)
    assert set(ends) == {str, HeldUp}
    assert ran["many"] == ends[str]
    # of many, the last are read so late that the loop is itself again, and are executed at once
    assert 0.9 * 0.2 * 420 <= extra <= 0.2 * 430 + 3 * 10
    assert await worker.look("after") == "w1"


async def test_L1_what_was_refused_for_a_blocked_loop_is_made_by_another_instance_first(new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    blocked, _ = [await mesh.start(name, "worker") for name in ("w1", "w2")]
    driver = await mesh.driver()
    await meets(driver, "worker", 2)
    worker = driver.client(Worker)
    while len({await worker.look("before"), *await asyncio.gather(*(worker.look("before") for _ in range(20)))}) < 2:
        pass  # connections to both are open: the pending calls decide
    blocking = asyncio.ensure_future(worker.block.using(timeout=30, instance=blocked.node_id)(LONG_S))
    await eventually(lambda: f"block {LONG_S}" in [each.id for each in mesh.executions()])
    ends = await asyncio.gather(*(worker.work.using(timeout=30)(f"late-{each}") for each in range(20)))
    await blocking
    retries = driver.node.statistics()["clients"]["worker.work"]["decisions"].get("retries", 0)
    timeline.note("L1", ends=Counter(ends), retries=retries)
    assert ends == ["w2"] * 20
    assert retries >= 1


async def test_L1_what_comes_while_the_loop_is_blocked_for_a_second_is_refused_and_not_executed(new_mesh, timeline):
    """Without pings that would cut the connection first, as at the real timers. What is refused is not made again here."""
    mesh = new_mesh(UNSCALED)
    await mesh.start("w1", "worker")
    driver = await mesh.driver("clients.default.retry.attempts=1")
    await meets(driver, "worker", 1)
    worker = driver.client(Worker)
    await worker.look("before")
    refused = await while_blocked(mesh, worker, LONG_S, "late")
    patient = await while_blocked(mesh, worker, 0.3, "patient")
    ran = {each.id for each in mesh.executions()}
    timeline.note("L1", refused=len(refused), said=str(refused[0]))
    assert {(type(each), getattr(each, "executed", "")) for each in refused} == {(HeldUp, "not_executed")}
    assert all(each.retry_after for each in refused)
    assert {each for each in ran if each.startswith("late")} == set()
    assert patient == ["w1"] * 20
    assert await worker.look("after") == "w1"
