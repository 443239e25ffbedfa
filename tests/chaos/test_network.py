"""The kernel's own faults between namespaces: partitions, one direction only, a link that is down, lost packets; mutual TLS."""

from __future__ import annotations

import asyncio
import time

from tests.faults.certificates import TABLE, issue
from tests.faults.fleet import Worker
from tests.faults.history import breaches_of_calls, breaches_of_delivery, breaches_of_emptiness, percentile
from tests.faults.load import Calls, Events, Watching
from tests.faults.mesh import PING, PONG, PROGRAM, UNSCALED, H, S, T, hub_of, knows, meets
from tests.faults.test_events import DURABLE, all_finished
from tests.faults.test_registry import Census
from vyked_host.testing.waiting import eventually

OPEN = "[security]\ninsecure = true\n"


def at_home(place):
    """Settings of a node in a namespace."""
    return [f"transports.tcp.host={place.address}"]


async def passes(seconds):
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 10)


async def settled(mesh, network, count, *services):
    """A holder in a namespace of its own, `count` nodes in one each, a driver outside."""
    home, *places = network.places(count + 1)
    mesh_at(mesh, home)
    await mesh.start("hub", "gauge", sets=at_home(home), prefix=home.prefix)
    nodes = [
        mesh.spawn(f"w{at}", *services, sets=at_home(each), prefix=each.prefix) for at, each in enumerate(places)
    ]  # fmt: skip
    for each in nodes:
        await each.ready()
    driver = await mesh.driver()
    await meets(driver, services[0], count)
    return home, places, nodes, driver


def mesh_at(mesh, home):
    """The mesh meets in this namespace."""
    mesh.file.write_text(mesh.file.read_text().replace(mesh.address, f"{home.address}:{mesh.port}"))
    mesh.address = f"{home.address}:{mesh.port}"


# ---- done when 4 -------------------------------------------------------------------------------------------------------
async def test_done_when_4_a_mesh_over_two_namespaces_with_mutual_tls(network, new_mesh, timeline):
    mesh = new_mesh(TABLE + DURABLE)
    here, there = network.places(2)
    mesh_at(mesh, here)
    issue(mesh.folder, here.address, there.address, network.here)
    services = ("worker", "source", "stock")

    async def start(name, place):
        return await mesh.start(name, *services, sets=at_home(place), prefix=place.prefix)

    nodes = {
        name: (await start(name, place), place)
        for name, place in (("a1", here), ("a2", here), ("b1", there), ("b2", there))
    }
    driver = await mesh.driver()
    await meets(driver, "worker", 4)
    source = Events(driver, "p", timeout=10)
    async with Calls(driver, rate=200) as load:
        sending = asyncio.ensure_future(source.send(1500, pause=0.004))
        for which in ("there", "the holder"):
            sent = len(source.published)
            await eventually(lambda sent=sent: len(source.published) > sent + 200, 20)
            holder = hub_of(driver).holder
            name = (
                "b1" if which == "there" else next(name for name, (each, _) in nodes.items() if each.node_id == holder)
            )
            victim, place = nodes.pop(name)
            victim.kill()
            timeline.note(f"kill -9 of {name}, {which}")
            nodes[f"{name}x"] = (await start(f"{name}x", place), place)
            await meets(driver, "worker", 4)
        await sending
    await all_finished(mesh, source.published)
    share = {each.node for each in mesh.handlings()}
    timeline.note(
        "done", calls=len(load.made), failures=load.failures(), accepted=source.acked, by=load.nodes, handled_by=share
    )
    assert breaches_of_calls(load.made, mesh.executions()) == []
    assert breaches_of_delivery(source.published, mesh.handlings(), ["stock"], {}, {}) == []
    assert {"a1", "a2", "b2"} <= set(load.nodes) | {"a1", "a2"}
    assert {"b1", "b2"} & share
    assert {each.outcome for each in load.failed} <= {"unknown"}
    assert [each for each in load.failed if each.idempotent] == []
    assert all(each.acked for each in source.published)


# ---- R5, R6, R7 --------------------------------------------------------------------------------------------------------
async def test_R6_a_partition_by_the_kernel_of_one_node(network, new_mesh, timeline):
    mesh = new_mesh(OPEN)
    home, places, nodes, driver = await settled(mesh, network, 5, "worker")
    watcher = Watching(driver, "driver")
    mesh.defer(watcher.aclose)
    await eventually(lambda: len(watcher.nodes) >= 6)
    slack = mesh.slack()
    places[0].cut_off(home.address)
    cut = timeline.note("DROP between the registry and one")
    await eventually(lambda: watcher.gone)
    removed = watcher.gone[nodes[0].node_id] - cut
    await passes(3 * T)
    timeline.note("R6", removed=removed, gone=len(watcher.gone))
    assert T - 1.1 * H <= removed <= T + S + slack()
    assert set(watcher.gone) == {nodes[0].node_id}
    assert watcher.breaches() == []
    before = len(watcher.told)
    places[0].heal()
    await eventually(lambda: nodes[0].node_id in watcher.nodes, 20)
    assert len(watcher.told) > before


async def test_R7_a_partition_by_the_kernel_in_one_direction(network, new_mesh, timeline):
    mesh = new_mesh(OPEN)
    home, places, nodes, driver = await settled(mesh, network, 5, "worker")
    watcher = Watching(driver, "driver")
    mesh.defer(watcher.aclose)
    await eventually(lambda: len(watcher.nodes) >= 6)
    node_id = nodes[0].node_id
    generation, _ = watcher.nodes[node_id]
    slack = mesh.slack()
    home.drop_from(places[0].address)
    cut = timeline.note("the registry no longer hears one")
    await eventually(lambda: node_id in watcher.gone)
    removed = watcher.gone[node_id] - cut
    allowed = T + S + slack()
    home.heal()
    await eventually(lambda: node_id in watcher.nodes, 20)
    timeline.note("R7", removed=removed, generations=(generation, watcher.nodes[node_id][0]))
    assert T - 1.1 * H <= removed <= allowed
    assert watcher.nodes[node_id][0] != generation


async def test_R5_a_partition_by_the_kernel_from_all_removes_nobody(network, new_mesh, timeline):
    mesh = new_mesh(OPEN)
    home, places, nodes, driver = await settled(mesh, network, 8, "worker")
    watcher, census = Watching(driver, "driver"), Census(driver, "worker")
    mesh.defer(watcher.aclose)
    mesh.defer(census.aclose)
    await eventually(lambda: len(watcher.nodes) >= 9)
    async with Calls(driver, tasks=20, rate=100) as load:
        for each in places:
            each.cut_off(home.address)
        timeline.note("DROP between the registry and all")
        await passes(10 * T)
        for each in places:
            each.heal()
        timeline.note("heals")
        await passes(4 * T)
    timeline.note("R5", gone=watcher.gone, failures=load.failures(), known=len(knows(driver, "worker")))
    assert (
        breaches_of_calls(load.made, mesh.executions()) + watcher.breaches() + breaches_of_emptiness(census.counts, 8)
        == []
    )
    assert watcher.gone == {}
    assert load.failed == []
    assert knows(driver, "worker") == {each.node_id for each in nodes}


# ---- R8, P2 ------------------------------------------------------------------------------------------------------------
async def test_R8_a_link_that_is_down_is_found_by_a_ping(network, new_mesh, timeline):
    mesh = new_mesh(OPEN)
    _, places, nodes, driver = await settled(mesh, network, 2, "worker")
    worker = driver.client(Worker)
    await worker.look.using(instance=nodes[0].node_id)("x")
    channel = driver.node.directory._links[nodes[0].node_id].best.channel
    slack = mesh.slack()
    places[0].unplug()
    began = timeline.note("link down")
    await eventually(channel.retired.done)
    found = time.monotonic() - began
    timeline.note("R8", found=found)
    assert found <= PING + PONG + slack()
    async with Calls(driver, tasks=10, rate=50) as load:
        await passes(3 * T)
    assert load.failed == []


async def test_P2_a_tenth_of_all_packets_lost_fails_no_call(network, new_mesh, timeline):
    mesh = new_mesh(OPEN + UNSCALED)
    home, places, _, driver = await settled(mesh, network, 3, "worker")
    for each in (home, *places):
        each.lose(0.1)
    async with Calls(driver, tasks=20, rate=100, timeout=10) as load:
        await passes(20)
    p99 = percentile([each.ended - each.began for each in load.made], 0.99)
    timeline.note("P2", calls=len(load.made), failures=load.failures(), p99=p99)
    assert breaches_of_calls(load.made, mesh.executions()) == []
    assert load.failed == []
    assert p99 < 10


async def test_P10_a_host_whose_name_server_does_not_answer_starts_and_calls_those_it_has_addresses_of(
    network, new_mesh, timeline
):
    here, there = network.places(2)
    here.name_server(f"{here.address.rpartition('.')[0]}.200")  # nobody has that address
    mesh = new_mesh(
        OPEN
        + UNSCALED
        + f'[registry]\nuse = "static"\n[registry.static]\nnodes = ["tcp://shop.internal:4502", "tcp://{there.address}:4502"]\n'
    )
    port = ["transports.tcp.port=4502"]
    await mesh.start("there", "worker", sets=[*at_home(there), *port], prefix=there.prefix)
    began = time.monotonic()
    await mesh.start("here", "gauge", sets=[*at_home(here), *port], prefix=here.prefix)
    took = time.monotonic() - began
    words = (*here.prefix, PROGRAM, "call", "worker.look", "id=x", "--config", str(mesh.file))
    asked = await asyncio.create_subprocess_exec(*words, cwd=mesh.folder, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(asked.communicate(), 30)
    timeline.note("P10", start=took)
    assert took <= 10
    assert (asked.returncode, b"there" in said) == (0, True)
