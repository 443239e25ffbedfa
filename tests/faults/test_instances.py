"""Service instances on bad days: rows S1 to S9. Real processes, real signals, W1 as load, every history checked."""

from __future__ import annotations

import asyncio
import resource
import secrets
import time
from collections import Counter
from pathlib import Path

import pytest

from vyked_host.errors import CallError, Overloaded
from vyked_host.runtime.lag import BLOCKED_S
from vyked_host.testing.waiting import eventually

from .fleet import Front, Kitchen, Worker
from .history import breaches_of_calls, percentile
from .load import Calls, Watching
from .mesh import EJECTION, PING, PONG, SLACK, UNSCALED, H, S, T, knows, meets

WARM_S = 0.6
"""Load before the fault: what is compared with later."""


async def fleet_of_three(mesh, *sets):
    """A host that serves none and holds the hub, three workers whose handlers take 20 ms, a driver that knows them."""
    await mesh.start("hub", "gauge")
    workers = [mesh.spawn(f"w{each}", "worker", options="delay=0.02") for each in (1, 2, 3)]
    for each in workers:
        await each.ready()
    driver = await mesh.driver(*sets)
    await meets(driver, "worker", 3)
    return workers, driver


def check(mesh, load, *more):
    """No breach anywhere; the sentences say which."""
    breaches = breaches_of_calls(load.made, mesh.executions()) + [each for found in more for each in found]
    assert breaches == []


async def passes(seconds):
    """Let the load run."""
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 5)


# ---- S1 ----------------------------------------------------------------------------------------------------------------
async def test_S1_a_killed_instance_costs_what_was_in_flight_and_nothing_else(mesh, timeline):
    workers, driver = await fleet_of_three(mesh)
    watcher = Watching(driver, "driver")
    await eventually(lambda: watcher.told)
    async with Calls(driver) as load:
        await passes(WARM_S)
        victim = timeline.random.choice(workers)
        slack = mesh.slack()
        killed = victim.kill()
        timeline.note(f"kill -9 {victim.name}")
        node_id = victim.node_id
        await eventually(lambda: node_id not in knows(driver, "worker"))
        unrouted = time.monotonic()
        await eventually(lambda: node_id in watcher.gone)
        await passes(WARM_S)
    told = watcher.notices(node_id, since=killed)[0]
    seen = min((each.ended for each in load.failed), default=killed)
    in_flight = load.in_flight(seen)  # the kernel tells of a death some milliseconds later
    timeline.note(
        "S1", calls=len(load.made), failures=load.failures(), in_flight=len(in_flight), seen=seen - killed,
        unrouted=unrouted - killed, told=told - killed, removed=watcher.gone[node_id] - killed,
    )  # fmt: skip
    check(mesh, load, watcher.breaches())
    assert [each for each in load.failed if each.idempotent] == []
    assert {each.outcome for each in load.failed} <= {"unknown"}
    assert set(load.failed) <= set(in_flight)
    assert seen - killed <= slack()
    assert unrouted - killed <= 0.5 - SLACK + slack()
    assert told - killed <= H + slack()
    assert watcher.gone[node_id] - killed <= T + S + slack()


# ---- S2 ----------------------------------------------------------------------------------------------------------------
async def test_S2_a_rolling_restart_of_all_fails_no_call(mesh, timeline):
    workers, driver = await fleet_of_three(mesh)
    took = []
    async with Calls(driver) as load:
        for turn in range(2):
            for at, old in enumerate(workers):
                told = old.terminate()
                assert await old.ended() == 0, old.log
                took.append(time.monotonic() - told)
                workers[at] = await mesh.start(f"w{at + 1}-{turn}", "worker")
                await meets(driver, "worker", 3)
    timeline.note("S2", calls=len(load.made), failures=load.failures(), exits=took)
    check(mesh, load)
    assert load.failed == []
    assert max(took) <= 10.0 + 1.0  # drain_timeout of the file


async def test_S2_a_call_that_runs_is_answered_and_a_second_signal_ends_it(mesh, timeline):
    workers, driver = await fleet_of_three(mesh)
    worker = driver.client(Worker)
    first, second, _ = workers
    slow = asyncio.ensure_future(worker.work.using(instance=first.node_id, timeout=10)("slow", 1.0))
    endless = asyncio.ensure_future(worker.work.using(instance=second.node_id, timeout=20)("endless", 60.0))
    await eventually(lambda: len(mesh.executions()) == 2)
    for each in (first, second):
        each.terminate()
    assert await slow == "w1"
    assert await first.ended() == 0
    assert second.is_alive
    slack = mesh.slack()
    told = second.terminate()
    assert await second.ended() == 1
    timeline.note("S2", second_signal=time.monotonic() - told)
    assert time.monotonic() - told < 1.0 + slack() + 2.0  # what is cancelled gets 2 s to clean up
    with pytest.raises(CallError) as caught:
        await endless
    assert caught.value.executed in ("executed", "unknown")


# ---- S3 ----------------------------------------------------------------------------------------------------------------
async def test_S3_a_hanging_instance_is_found_removed_and_comes_back_as_another_life(mesh, timeline):
    workers, driver = await fleet_of_three(mesh)
    watcher = Watching(driver, "driver")
    await eventually(lambda: watcher.told)
    deadline = 1.5
    async with Calls(driver, timeout=deadline) as load:
        await passes(WARM_S)
        victim = timeline.random.choice(workers)
        node_id = victim.node_id
        before, _ = watcher.nodes[node_id]
        slack = mesh.slack()
        frozen = victim.freeze()
        timeline.note(f"SIGSTOP {victim.name}")
        await eventually(lambda: node_id in watcher.gone)
        removed = watcher.gone[node_id]
        await eventually(lambda: time.monotonic() > frozen + 3 * T)
        thawed = victim.thaw()
        timeline.note("SIGCONT")
        await eventually(lambda: node_id in watcher.nodes)
        back = time.monotonic()
        await eventually(lambda: load.last_answer_of(victim.name) > thawed)
    after, _ = watcher.nodes[node_id]
    hanging = [each for each in load.failed if each.began <= back]
    first = min((each.ended for each in hanging), default=0.0)
    later = [each for each in hanging if each.began > first]
    timeline.note(
        "S3", calls=len(load.made), failures=load.failures(), link_dead=first - frozen, failed_after_the_first=len(later),
        removed=removed - frozen, back=back - thawed, longest=max(each.ended - each.began for each in load.made),
        generations=(before, after),
    )  # fmt: skip
    check(mesh, load, watcher.breaches())
    assert max(each.ended - each.began for each in load.made) <= deadline + slack()
    assert first - frozen <= PING + PONG + slack()
    assert len(later) <= 5
    assert T - H * 1.1 <= removed - frozen <= T + S + slack()  # its last heartbeat was at most one interval before
    assert after != before
    assert back - thawed <= 2 * H + slack()


async def test_S3_who_lets_five_calls_time_out_is_passed_over(mesh, timeline):
    """Where deadlines are shorter than what pings take."""
    workers, driver = await fleet_of_three(mesh)
    async with Calls(driver, timeout=0.1, rate=200) as load:
        await passes(WARM_S)
        workers[0].freeze()
        await passes(PING + PONG)
    failed = [each for each in load.failed if load.asked[each.id] == workers[0].node_id]
    fifth = sorted(each.ended for each in failed)[4]
    later = [each for each in failed if fifth < each.began < fifth + EJECTION]  # then it is tried again
    timeline.note("S3", failed=len(failed), begun_after_the_fifth=len(later), failures=load.failures())
    check(mesh, load)
    assert later == []  # five, and those that were under way by then


# ---- S4 ----------------------------------------------------------------------------------------------------------------
async def slowed(mesh, timeline, *sets):
    workers, driver = await fleet_of_three(mesh, *sets)
    watcher = Watching(driver, "driver")
    async with Calls(driver, tasks=150, rate=300) as load:
        await passes(2 * WARM_S)
        before = {each.name: load.took(0.99) for each in workers}
        slack = mesh.slack()
        since = time.monotonic()
        victim = timeline.random.choice(workers)
        await driver.client(Worker).slow_down.using(instance=victim.node_id)(2.0)
        timeline.note(f"{victim.name} takes 2 s longer")
        await passes(4.0)
    return watcher, load, victim, since, before, slack()


async def test_S4_a_slow_instance_is_not_removed_and_slows_no_other(mesh, timeline):
    watcher, load, victim, since, before, slack = await slowed(mesh, timeline)
    others = [each.ended - each.began for each in load.made if each.began > since and each.ended - each.began < 1.5]
    after = percentile(others, 0.99)
    timeline.note("S4", p99_before=before[victim.name], p99_of_the_others=after, failures=load.failures())
    check(mesh, load, watcher.breaches())
    assert watcher.gone == {}
    assert after <= 1.25 * before[victim.name] + slack
    assert load.failed == []


@pytest.mark.parametrize("sets", [(), ('clients.default.balancer="ewma"',)], ids=["default", "ewma"])
async def test_S4_the_share_of_a_slow_instance_falls_below_half(mesh, timeline, sets):
    """Under the default balancer, and under the one that measures."""
    watcher, load, victim, since, _, _ = await slowed(mesh, timeline, *sets)
    later = Counter(node for at, node in load.answers if at > since)
    share = later[victim.name] / sum(later.values())
    timeline.note("S4", share=share)
    assert share < 0.5 / 3
    assert watcher.gone == {}


# ---- S5 ----------------------------------------------------------------------------------------------------------------
FAULTY_CALLS = 10_000
KINDS = ("declared", "error", "base", "exit", "junk", "cancel")


def rss(pid):
    """Resident memory, in bytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


async def test_S5_faulty_handlers_cost_one_typed_answer_each_and_no_connection(new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    process = await mesh.start("w1", "worker")
    driver = await mesh.driver()
    await meets(driver, "worker", 1)
    worker, codes, slack = driver.client(Worker), Counter(), mesh.slack()

    async def fail(kind):
        try:
            await worker.fail.using(timeout=30)(kind)
        except Exception as error:
            codes[type(error).__name__, kind] += 1

    async def fail_often(count):
        for at in range(0, count, 100):
            await asyncio.gather(*(fail(KINDS[(at + each) % len(KINDS)]) for each in range(100)))

    await fail_often(1000)
    way = driver.node.directory._links[process.node_id].best
    channel, memory = way.channel, rss(process.pid)
    await fail_often(FAULTY_CALLS)
    timeline.note("S5", answers=dict(codes), grew=rss(process.pid) - memory)
    assert sum(codes.values()) == FAULTY_CALLS + 1000
    # what comes while the machine has no processor for a host is refused (docs/semantics.md, a blocked loop)
    refused = {"Overloaded"} if slack() - SLACK >= BLOCKED_S else set()
    assert {name for name, kind in codes if kind == "declared"} - refused == {"Broken"}
    assert {name for name, kind in codes if kind != "declared"} - refused <= {"RemoteFailure", "Cancelled"}
    assert way.channel is channel
    assert rss(process.pid) - memory < 5 << 20


# ---- S6 ----------------------------------------------------------------------------------------------------------------
class OpenLoop:
    """Calls at a rate, whatever becomes of those before."""

    def __init__(self, call):
        self._call, self._name = call, secrets.token_hex(4)
        self.accepted, self.refused, self.other, self.not_run = [], [], [], set()

    async def run(self, rate, seconds):
        began, sent, running = time.monotonic(), 0, []
        while (now := time.monotonic()) < began + seconds:
            while sent < (now - began) * rate:
                sent += 1
                running.append(asyncio.ensure_future(self._one(sent)))
            await asyncio.sleep(0.002)
        await asyncio.gather(*running)
        return self

    async def _one(self, number):
        began, id = time.monotonic(), f"{self._name}-{number}"
        try:
            await self._call.using(timeout=5)(id)
            self.accepted.append(time.monotonic() - began)
        except Overloaded as error:
            self.refused.append((time.monotonic() - began, error.executed, error.code))
            self.not_run.add(id)
        except CallError as error:
            self.other.append(repr(error))


async def test_S6_overload_is_refused_early_and_forgotten_at_once(new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    capacity = 10 / 0.05
    await mesh.start("w1", "worker", sets=["limits.in_flight=10"], options="delay=0.05")
    driver = await mesh.driver()
    await meets(driver, "worker", 1)
    worker = driver.client(Worker)
    calm = await OpenLoop(worker.work).run(0.5 * capacity, 2.0)
    slack = mesh.slack()
    flood = await OpenLoop(worker.work).run(10 * capacity, 2.0)
    after = await OpenLoop(worker.work).run(0.5 * capacity, 2.0)
    refused = [seconds for seconds, _, _ in flood.refused]
    timeline.note(
        "S6", accepted=len(flood.accepted), refused=len(refused), p99_calm=percentile(calm.accepted, 0.99),
        p99_flood=percentile(flood.accepted, 0.99), p99_refusals=percentile(refused, 0.99), other=flood.other[:3],
        goodput_after=len(after.accepted) / (len(after.accepted) + len(after.refused) + len(after.other)),
    )  # fmt: skip
    assert flood.refused
    assert flood.other == []
    assert {(executed, code) for _, executed, code in flood.refused} == {("not_executed", "RESOURCE_EXHAUSTED")}
    assert percentile(refused, 0.99) < 0.05 + slack()
    assert percentile(flood.accepted, 0.99) < 2 * percentile(calm.accepted, 0.99) + slack()
    assert flood.accepted
    assert len(after.accepted) >= 0.95 * (len(after.accepted) + len(after.refused) + len(after.other))


async def test_S6_five_times_too_many_calls_find_the_limit_that_nobody_configured(new_mesh, timeline):
    """Done when 4: four at a time, 50 ms each. What depends on how busy this machine is, is noted and not asserted."""
    mesh = new_mesh(UNSCALED)
    capacity = 4 / 0.05
    await mesh.start("k1", "kitchen", sets=["limits.adaptive=true"], options="delay=0.05")
    driver = await mesh.driver()
    await meets(driver, "kitchen", 1)
    kitchen = driver.client(Kitchen)
    calm = await OpenLoop(kitchen.cook).run(0.5 * capacity, 3.0)
    sudden = await OpenLoop(kitchen.cook).run(5 * capacity, 2.0)
    low, flood, high = await asyncio.gather(
        OpenLoop(kitchen.taste).run(capacity, 4.0),
        OpenLoop(kitchen.cook).run(4 * capacity, 4.0),
        OpenLoop(kitchen.serve).run(0.1 * capacity, 4.0),
    )
    after, deadline = await OpenLoop(kitchen.cook).run(0.5 * capacity, 1.0), time.monotonic() + 20
    while after.refused and time.monotonic() < deadline:
        after = await OpenLoop(kitchen.cook).run(0.5 * capacity, 1.0)
    refused = [seconds for seconds, _, _ in flood.refused]
    done = len(low.accepted) + len(flood.accepted) + len(high.accepted)
    timeline.note(
        "S6", sudden=(len(sudden.accepted), len(sudden.refused)), goodput=done / 4.0 / capacity,
        low=(len(low.accepted), len(low.refused)), normal=(len(flood.accepted), len(flood.refused)),
        high=(len(high.accepted), len(high.refused)), p99_calm=percentile(calm.accepted, 0.99),
        p99_flood=percentile(flood.accepted, 0.99), p99_high=percentile(high.accepted, 0.99),
        p99_refusals=percentile(refused, 0.99), other=(sudden.other + flood.other)[:3],
    )  # fmt: skip
    assert calm.refused == []
    assert flood.refused
    assert {(executed, code) for _, executed, code in flood.refused} == {("not_executed", "RESOURCE_EXHAUSTED")}
    assert low.other + sudden.other + flood.other + high.other == []
    share_of = {name: len(each.accepted) / (len(each.accepted) + len(each.refused)) for name, each in
                (("low", low), ("normal", flood), ("high", high))}  # fmt: skip
    assert share_of["low"] < share_of["normal"] < share_of["high"]
    assert after.refused == []
    assert {each.id for each in mesh.executions()} & (sudden.not_run | low.not_run | flood.not_run) == set()


# ---- S7 ----------------------------------------------------------------------------------------------------------------
def address_space(pid):
    """In bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * 4096


async def test_S7_an_instance_that_may_have_no_more_memory_harms_itself_alone(mesh, timeline):
    """The limit is one of address space: what is asked for beyond it fails there. In `make chaos` a control group kills."""
    workers, driver = await fleet_of_three(mesh)
    victim = workers[0]
    limit = resource.prlimit(victim.pid, resource.RLIMIT_AS)[1]
    resource.prlimit(victim.pid, resource.RLIMIT_AS, (address_space(victim.pid) + (200 << 20), limit))
    worker, outcomes = driver.client(Worker), []
    async with Calls(driver) as load:
        for _ in range(8):
            try:
                await worker.hoard.using(instance=victim.node_id, timeout=5)(64 << 20)
                outcomes.append("ok")
            except CallError as error:
                outcomes.append(f"{error.code} {error.executed} {error}")
        await passes(WARM_S)
    timeline.note("S7", outcomes=outcomes, alive=victim.is_alive, failures=load.failures())
    check(mesh, load)
    assert outcomes[0] == "ok"
    assert outcomes[-1] != "ok"
    assert [each for each in load.failed if each.idempotent] == []
    assert {each.outcome for each in load.failed} <= {"unknown"}
    assert all(each.is_alive for each in workers[1:])


# ---- S8 ----------------------------------------------------------------------------------------------------------------
async def test_S8_a_service_that_can_t_start_ends_its_process_and_touches_nobody(mesh, timeline):
    _, driver = await fleet_of_three(mesh)
    watcher = Watching(driver, "driver")
    await eventually(lambda: watcher.told)
    known = set(watcher.nodes)
    async with Calls(driver) as load:
        weak = [mesh.spawn(f"weak{each}", "weak") for each in range(2)]
        codes = [await each.ended() for each in weak]
        await passes(2 * H)
    timeline.note("S8", codes=codes, failures=load.failures())
    check(mesh, load, watcher.breaches())
    assert codes == [3, 3]
    assert all(each.has_said("this service can't start") for each in weak)
    assert load.failed == []
    assert set(watcher.nodes) == known
    assert {node for _, change in watcher.told for node in change.gone} == set()


# ---- S9 ----------------------------------------------------------------------------------------------------------------
async def test_S9_a_restart_on_the_same_port_is_another_life_and_never_mistaken(mesh, timeline):
    _, driver = await fleet_of_three(mesh)
    port = mesh.free_port()
    watcher = Watching(driver, "driver")
    old = await mesh.start("w4", "worker", sets=[f"transports.tcp.port={port}"])
    await meets(driver, "worker", 4)
    await eventually(lambda: old.node_id in watcher.nodes)
    before, _ = watcher.nodes[old.node_id]
    async with Calls(driver) as load:
        await eventually(lambda: load.nodes["w4"])
        killed = old.kill()
        await old.ended()
        new = await mesh.start("w4b", "worker", sets=[f"transports.tcp.port={port}"])
        await eventually(lambda: load.nodes["w4b"])
        registered = time.monotonic()
        new_generation, _ = watcher.nodes[new.node_id]
        new.kill()
        await new.ended()
        other = await mesh.start("w4c", "front", sets=[f"transports.tcp.port={port}"])
        await meets(driver, "front", 1)
        fronts = [await driver.client(Front).ask(f"front-{each}") for each in range(50)]
        await passes(WARM_S)
    late = [
        change for at, change in watcher.told
        if at > registered and any(generation == before for generation, _ in change.nodes)
    ]  # fmt: skip
    timeline.note("S9", failures=load.failures(), restarted=registered - killed, other=other.name)
    executions = [each for each in mesh.executions() if not each.id.startswith("front-")]
    assert breaches_of_calls(load.made, executions) == []
    assert watcher.breaches() == []
    assert len(fronts) == 50
    assert new_generation != before
    assert late == []
    assert {each.outcome for each in load.failed if not each.idempotent} <= {"unknown"}
    assert {each.code.partition(":")[0] for each in load.failed} <= {"UNAVAILABLE"}
