"""The same scenarios at the real timers: H = 5 s, T = 15 s, S = 1 s, ping 10 s, pong 5 s. Each takes a minute or two."""

from __future__ import annotations

import asyncio
import time

from tests.faults.history import breaches_of_calls, breaches_of_emptiness
from tests.faults.load import Calls, Watching
from tests.faults.mesh import SCALE, UNSCALED, at, meets
from tests.faults.mesh import H as SCALED_H
from tests.faults.test_registry import Census
from vyked_host.testing.waiting import eventually

H = SCALED_H / SCALE
T, S, PING, PONG = 3 * H, H / 5, 2 * H, H
SLACK = 1.25


async def passes(seconds):
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 10)


async def started(new_mesh, count):
    mesh = new_mesh(UNSCALED)
    nodes = [
        mesh.spawn("hub", "worker"),
        *(mesh.spawn(f"w{each}", "worker", options="delay=0.02") for each in range(count)),
    ]
    for each in nodes:
        await each.ready()
    driver = await mesh.driver()
    await meets(driver, "worker", count + 1)
    watcher, census = Watching(driver, "driver"), Census(driver, "worker")
    mesh.defer(watcher.aclose)
    mesh.defer(census.aclose)
    await eventually(lambda: len(watcher.nodes) >= count + 1)
    return mesh, nodes, driver, watcher, census


async def test_S3_a_hanging_instance_at_the_real_timers(new_mesh, timeline):
    from tests.faults.mesh import hub_of

    mesh, nodes, driver, watcher, _ = await started(new_mesh, 3)
    victim = next(each for each in nodes if each.node_id != hub_of(driver).holder)
    node_id = victim.node_id
    before, _ = watcher.nodes[node_id]
    async with Calls(driver, tasks=20, rate=50, timeout=2) as load:
        await passes(1)
        frozen = victim.freeze()
        timeline.note("SIGSTOP")
        await eventually(lambda: node_id in watcher.gone, 2 * T)
        removed = watcher.gone[node_id] - frozen
        await passes(max(0.0, frozen + 3 * T - time.monotonic()))
        thawed = victim.thaw()
        timeline.note("SIGCONT")
        await eventually(lambda: node_id in watcher.nodes, 4 * H)
        back = time.monotonic() - thawed
        await passes(1)
    unknown = [each for each in load.failed if each.ended - frozen > PING + PONG + SLACK]
    failed = sorted(each.ended for each in load.failed)
    later = [each for each in load.failed if len(failed) > 5 and each.began > failed[4]]
    timeline.note(
        "S3", removed=removed, back=back, failures=load.failures(), late=len(unknown), begun_after_the_fifth=len(later)
    )  # fmt: skip
    assert breaches_of_calls(load.made, mesh.executions()) + watcher.breaches() == []
    assert T - 1.1 * H <= removed <= T + S + SLACK
    assert back <= 2 * H + SLACK
    assert watcher.nodes[node_id][0] != before
    assert max(each.ended - each.began for each in load.made) <= 2 + 0.25 + SLACK
    assert unknown == []
    assert len(later) <= 5


async def test_R4_T2_a_stop_of_everything_at_the_real_timers(new_mesh, timeline):
    mesh, nodes, driver, watcher, census = await started(new_mesh, 4)
    for each in nodes:
        each.freeze()
    timeline.note("SIGSTOP of all")
    await passes(5 * T)
    for each in nodes:
        each.thaw()
    timeline.note("SIGCONT of all")
    await passes(T + 2 * H)
    timeline.note("R4", gone=watcher.gone, least=census.least)
    assert {each.node_id for each in nodes} & set(watcher.gone) == set()
    assert watcher.breaches() + breaches_of_emptiness(census.counts) == []
    async with Calls(driver, tasks=10, rate=100) as load:
        await passes(2)
    assert load.failed == []
    assert set(load.nodes) == {each.name for each in nodes}
    assert mesh.name


async def test_R2_R3_a_registry_that_starts_anew_knows_twenty_hosts_again_at_the_real_timers(new_mesh, timeline):
    """As in tests/faults, with hosts in processes of their own: nothing that they compute has to be taken off."""
    mesh = new_mesh(UNSCALED)
    holder = await mesh.start("hub", "gauge")
    proxy = await mesh.proxy()
    await asyncio.gather(
        *(mesh.script(each, "tests.faults.crowd", str(mesh.file), "5", each, proxy.address) for each in "abcd")
    )
    driver = await mesh.driver(*at(proxy.address))
    watcher, censuses = Watching(driver, "driver"), [Census(driver, each) for each in ("alpha", "beta", "gamma")]
    for each in (watcher, *censuses):
        mesh.defer(each.aclose)
    await eventually(lambda: len(watcher.nodes) >= 22 and all(each.counts[-1][1] == 20 for each in censuses), 20)
    epoch = watcher.told[-1][1].epoch
    holder.kill()
    await holder.ended()
    timeline.note("kill -9 of the registry")
    await passes(T)
    again = await mesh.start("hub2", "gauge")
    ready = time.monotonic()
    await eventually(lambda: watcher.told[-1][1].epoch != epoch and len(watcher.nodes) >= 22, 3 * H)
    full = time.monotonic() - ready
    await passes(2 * T)
    timeline.note("R2", full=full, least=[each.least for each in censuses])
    assert [one for each in censuses for one in breaches_of_emptiness(each.counts, least=20)] == []
    assert watcher.breaches() == []
    assert full <= 2 * H + SLACK
    assert again.node_id in watcher.nodes


async def test_S2_five_rounds_of_a_rolling_restart(new_mesh, timeline):
    mesh, nodes, driver, _, _ = await started(new_mesh, 2)
    took = []
    async with Calls(driver) as load:
        for turn in range(5):
            for place, old in enumerate(nodes):
                told = old.terminate()
                assert await old.ended() == 0, old.log
                took.append(time.monotonic() - told)
                nodes[place] = await mesh.start(f"{place}-{turn}", "worker", options="delay=0.02")
                await meets(driver, "worker", 3)
    timeline.note("S2", calls=len(load.made), failures=load.failures(), longest=max(took))
    assert breaches_of_calls(load.made, mesh.executions()) == []
    assert load.failed == []
    assert max(took) <= 31
