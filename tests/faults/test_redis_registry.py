"""The registry in a Redis server on bad days: rows R1 to R9, S1, S3 and D2 on real processes. Timers are those of mesh.py: H = 0.2 s,
T = 3 H, S = 0.1 s."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from tests.valkey import Valkey
from vyked_host.builtin.redis.registry.scripts import BEAT, WITHDRAW
from vyked_host.errors import VykedError
from vyked_host.testing.waiting import eventually

from .fleet import Worker
from .history import Removal, breaches_of_calls, breaches_of_leases, breaches_of_views
from .load import Calls, Watching
from .mesh import H, S, T, free_port, knows, meets

DURABLE = ("appendonly yes", "appendfsync always")


@pytest.fixture
def new_server():
    """Starts servers that listen at a port; all are killed at the end."""
    made = []

    def start(*settings):
        port = free_port()
        server = Valkey(f"port {port}", "bind 127.0.0.1", *settings).start()
        server.address = f"127.0.0.1:{port}"
        made.append(server)
        return server

    yield start
    for each in made:
        each.close()


@pytest.fixture
def server(new_server):
    return new_server()


def on(address):
    url = f'url = "redis://{address}/0"'
    return f'[registry]\nuse = "redis"\n[registry.redis]\n{url}\n[pubsub]\nuse = "redis"\n[pubsub.redis]\n{url}\n'


def at(address):
    """Settings of a host that reaches the server by way of a proxy."""
    return [f"registry.redis.url=redis://{address}/0"]


def watched(mesh, host, name):
    watcher = Watching(host, name)
    mesh.defer(watcher.aclose)
    return watcher


async def three(mesh, driver):
    """Three processes with a worker each."""
    processes = [mesh.spawn(f"w{each}", "worker") for each in (1, 2, 3)]
    for each in processes:
        await each.ready()
    await meets(driver, "worker", 3)
    return processes


async def passes(seconds):
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 10)


def spared(calls):
    """Calls of idempotent methods that failed all the same."""
    return [each for each in calls.failed if each.idempotent]


async def test_S1_kill_9_costs_no_idempotent_call_and_is_known_within_a_heartbeat(server, new_mesh, timeline):
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    processes = await three(mesh, driver)
    watcher = watched(mesh, driver, "driver")
    victim = processes[1].node_id
    slack = mesh.slack()
    async with Calls(driver, tasks=20, rate=200.0) as calls:
        await passes(0.3)
        killed = processes[1].kill()
        await eventually(lambda: victim not in knows(driver, "worker") or driver.node.directory.doubts.get(victim), 5)
        down = time.monotonic() - killed
        await eventually(lambda: victim in watcher.gone, 5)
        await passes(0.3)
    gone, allowed = watcher.gone[victim] - killed, slack()
    timeline.note("S1", down=down, gone=gone, slack=allowed, failed=calls.failures())
    assert spared(calls) == []
    assert down <= H + allowed
    assert gone <= T + S + allowed
    assert len(calls.failed) <= len(calls.in_flight(killed))
    assert breaches_of_calls(calls.made, mesh.executions()) == []


async def test_S3_who_hangs_is_removed_not_early_and_comes_back_as_a_new_life(server, new_mesh, timeline):
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    processes = await three(mesh, driver)
    watcher = watched(mesh, driver, "driver")
    await eventually(lambda: len(watcher.nodes) == 4)
    victim = processes[0]
    before = watcher.nodes[victim.node_id][0]
    slack = mesh.slack()
    async with Calls(driver, tasks=20, rate=200.0) as calls:
        frozen = victim.freeze()
        await eventually(lambda: victim.node_id in watcher.gone, 10)
        gone, allowed = watcher.gone[victim.node_id] - frozen, slack()
        thawed = victim.thaw()
        await eventually(lambda: victim.node_id in watcher.nodes, 10)
        back = time.monotonic() - thawed
    timeline.note("S3", gone=gone, back=back, slack=allowed, failed=calls.failures())
    assert spared(calls) == []
    assert (
        breaches_of_leases(
            [Removal(victim.node_id, frozen - H * 1.1, frozen + gone)], lease=T, sweep=H * 1.1 + 3 * S, slack=allowed
        )
        == []
    )
    assert gone >= T - H * 1.1
    assert watcher.nodes[victim.node_id][0].counter > before.counter
    assert back <= 2 * H + 2 * slack()


async def test_R1_R3_a_server_that_is_gone_for_ten_leases_and_comes_back_with_its_data_costs_nothing(
    new_server, new_mesh, timeline
):
    server = new_server(*DURABLE)
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    await three(mesh, driver)
    watcher = watched(mesh, driver, "driver")
    await eventually(lambda: len(watcher.nodes) == 4)
    before = {node_id: generation for node_id, (generation, _) in watcher.nodes.items()}
    async with Calls(driver, tasks=20, rate=200.0) as calls:
        server.kill()
        await passes(10 * T)
        await asyncio.to_thread(server.start)
        back = time.monotonic()
        await eventually(lambda: driver.node.membership.announcement.generation, 5)
        await passes(3 * T)
    timeline.note("R3", failed=calls.failures(), told=len(watcher.told), since=back)
    assert calls.failed == []
    assert watcher.gone == {}
    assert {node_id: generation for node_id, (generation, _) in watcher.nodes.items()} == before


@pytest.mark.parametrize("how", ["restart", "FLUSHALL"])
async def test_R2_D2_a_server_that_lost_its_data_is_told_again_once_by_all(server, new_mesh, timeline, how):
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    processes = await three(mesh, driver)
    watchers = [watched(mesh, driver, "driver")]
    hosts = await mesh.hosts(2)
    watchers += [watched(mesh, each, each.node.record.node_id) for each in hosts]
    await eventually(lambda: all(len(each.nodes) == 6 for each in watchers))
    epoch = watchers[0].told[-1][1].epoch
    slack = mesh.slack()
    async with Calls(driver, tasks=20, rate=200.0) as calls:
        if how == "restart":
            server.kill()
            await passes(T)
            await asyncio.to_thread(server.start)
        else:
            server.ask("FLUSHALL")
        back = time.monotonic()
        await eventually(lambda: all(_whole(each, epoch, 6) for each in watchers), 10)
        whole = time.monotonic() - back
        least = len(knows(driver, "worker"))
        await passes(2 * T)
    allowed = slack()
    announced = [sum("announcing again" in line for line in each.lines) for each in processes]
    timeline.note("R2", how=how, whole=whole, slack=allowed, failed=calls.failures(), announced=announced)
    assert calls.failed == []
    assert least == 3
    assert whole <= 2 * H + H + allowed  # who lost its connection comes back within a heartbeat, and then two
    assert announced == [1, 1, 1]
    assert breaches_of_views({each.name: sorted(each.nodes.items()) for each in watchers}) == []
    assert [breach for each in watchers for breach in each.breaches()] == []


def _whole(watcher, epoch, count):
    return watcher.told[-1][1].epoch != epoch and len(watcher.nodes) == count


async def test_R4_a_server_that_hangs_for_five_leases_evicts_nobody(server, new_mesh, timeline):
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    await three(mesh, driver)
    watcher = watched(mesh, driver, "driver")
    await eventually(lambda: len(watcher.nodes) == 4)
    async with Calls(driver, tasks=20, rate=200.0) as calls:
        server.freeze()
        await passes(5 * T)
        server.thaw()
        await passes(3 * T)
    timeline.note("R4", failed=calls.failures(), told=[str(change.doubts) for _, change in watcher.told])
    assert calls.failed == []
    assert watcher.gone == {}
    await eventually(lambda: not driver.node.directory.doubts, 2 * H + 5)


async def test_R5_when_most_are_cut_off_nobody_is_removed(server, new_mesh, timeline):
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    proxy = await mesh.proxy(server.address, raw=True)
    hosts = [await mesh.host(f"w{each}", Worker, sets=at(proxy.address)) for each in range(8)]
    await meets(driver, "worker", 8)
    watcher = watched(mesh, driver, "driver")
    async with Calls(driver, tasks=10, rate=100.0) as calls:
        proxy.cut()
        await passes(10 * T)
        # whoever was held up itself forgives everybody, and suspects them again after a heartbeat
        suspects = {each.node.record.node_id: "suspect" for each in hosts}
        await eventually(lambda: driver.node.directory.doubts == suspects, 5)
        healed = proxy.heal()
        await eventually(lambda: not driver.node.directory.doubts, 5)
        whole = time.monotonic() - healed
    timeline.note("R5", whole=whole, failed=calls.failures())
    assert calls.failed == []
    assert watcher.gone == {}
    assert len(knows(driver, "worker")) == 8


@pytest.mark.parametrize("way", ["both ways", "what it says is lost", "what it hears is lost"])
async def test_R6_R7_one_of_many_that_is_cut_off_is_removed_in_time_and_comes_back_as_a_new_life(
    server, new_mesh, timeline, way
):
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    await mesh.hosts(6, Worker)
    proxy = await mesh.proxy(server.address, raw=True)
    alone = await mesh.host("alone", Worker, sets=at(proxy.address))
    await meets(driver, "worker", 7)
    watcher = watched(mesh, driver, "driver")
    node_id = alone.node.record.node_id
    await eventually(lambda: node_id in watcher.nodes)
    before, slack = watcher.nodes[node_id][0], mesh.slack()
    cut = time.monotonic()
    for direction, lost in ((proxy.to_host, "hears"), (proxy.to_client, "says")):
        if lost not in way:
            direction.cut()
    if way == "what it hears is lost":  # it is heard until it finds out itself
        await eventually(lambda: watcher.gone.get(node_id) or driver.node.directory.doubts.get(node_id), 10)
    else:
        await eventually(lambda: node_id in watcher.gone, 10)
    removed, allowed = time.monotonic() - cut, slack()
    proxy.heal()
    await eventually(lambda: not driver.node.directory.doubts and node_id in watcher.nodes, 10)
    timeline.note("R6", way=way, removed=removed, slack=allowed)
    if way != "what it hears is lost":
        assert T - 1.1 * H <= removed <= T + 1.1 * H + 3 * S + allowed
        assert watcher.nodes[node_id][0].counter > before.counter
    assert len(watcher.gone) == 0


async def test_R9_what_a_life_that_is_over_says_changes_nothing(server, new_mesh, timeline):
    mesh = new_mesh(on(server.address))
    driver, host = await mesh.driver(), await mesh.host("w", Worker)
    registry, node_id = host.node.registry, "somebody"
    record = msgspec.structs.replace(host.node.record, node_id=node_id)
    stale = await registry.announce(record)
    said = stale._who
    fresh = await registry.announce(record)
    await eventually(stale.lost.done)
    with pytest.raises(VykedError):
        await stale.update(msgspec.structs.replace(record, instances=()))
    await stale.withdraw()
    assert await registry.run(BEAT, *said, msgspec.msgpack.encode(record), "") == [b"newer"]
    assert await registry.run(WITHDRAW, *said) == [b"newer"]
    await passes(2 * T)
    assert not fresh.lost.done()
    assert driver.node.directory.view.nodes[node_id].record == record


async def test_R11_of_two_processes_with_one_id_the_later_is_known_and_the_earlier_says_so(server, new_mesh, timeline):
    mesh = new_mesh(on(server.address))
    driver = await mesh.driver()
    first, other = await mesh.host("w", Worker), await mesh.host("x", Worker)
    record = first.node.record
    taken = await other.node.registry.announce(record)
    await eventually(lambda: "another process has this node id" in first.node.membership.reasons().get("registry", ""))
    await passes(2 * T)
    assert not taken.lost.done()
    assert driver.node.directory.view.nodes[record.node_id].generation == taken.generation
