"""W1, W2 and W3 at once for `--minutes`, with faults at random: kills, stops, graceful stops, of anybody, the holder included.

Everything is recorded, and everything has to add up at the end. FAULTS_SEED=n repeats the choices of a run.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from tests.faults.history import breaches_of_calls, breaches_of_delivery, breaches_of_emptiness, duplicates
from tests.faults.load import Calls, Events, Watching, comes
from tests.faults.mesh import T, hub_of, meets
from tests.faults.test_events import DURABLE, finished
from tests.faults.test_registry import Census
from vyked_host.testing.waiting import eventually

NODES = 4
SERVICES = ("worker", "source", "stock", "mail")


def rss(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


async def passes(seconds):
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 30)


class Run:
    """The nodes, and what is done to them."""

    def __init__(self, mesh, timeline):
        self.mesh, self._timeline, self._chance = mesh, timeline, timeline.random
        self.nodes, self._count, self.done = [], 0, Counter()

    async def add(self):
        self._count += 1
        self.nodes.append(await self.mesh.start(f"n{self._count}", *SERVICES, options="delay=0.005"))

    async def fault(self, holder):
        victim = self._chance.choice(self.nodes)
        what = self._chance.choice(["kill", "stop", "terminate", "freeze and kill"])
        role = "holder" if victim.node_id == holder else "guest"
        self.done[f"{what} {role}"] += 1
        self._timeline.note(f"{what} {victim.name}, a {role}")
        if what == "stop":
            victim.freeze()
            await passes(self._chance.uniform(0.1, 3 * T))
            victim.thaw()
            return
        if what == "terminate":
            victim.terminate()
            assert await victim.ended() == 0, victim.log[-4000:]
        else:
            if what != "kill":
                victim.freeze()
                await passes(self._chance.uniform(0.1, 2 * T))
            victim.kill()
            await victim.ended()
        self.nodes.remove(victim)
        await self.add()


@pytest.mark.timeout(0)
async def test_everything_at_once_at_random(new_mesh, timeline, request):
    minutes = request.config.getoption("--minutes")
    mesh = new_mesh(DURABLE)
    run = Run(mesh, timeline)
    for _ in range(NODES):
        await run.add()
    drivers = [await mesh.driver() for _ in range(3)]
    for each in drivers:
        await meets(each, "worker", NODES)
    watchers = [Watching(each, f"d{at}") for at, each in enumerate(drivers)]
    censuses = [Census(each, "worker") for each in drivers]
    for each in (*watchers, *censuses):
        mesh.defer(each.aclose)
    sources = [Events(each, f"p{at}", window=32, timeout=10) for at, each in enumerate(drivers)]
    until = time.monotonic() + 60 * minutes
    memory = {}

    async def publish(source):
        while time.monotonic() < until:
            await source.send(50, pause=0.01)

    async with Calls(drivers[0], rate=200, timeout=3) as load:
        publishing = asyncio.gather(*(publish(each) for each in sources))
        while time.monotonic() < until:
            await passes(timeline.random.uniform(0.5, 3.0))
            await run.fault(hub_of(drivers[0]).holder)
            memory.update({each.name: rss(each.pid) for each in run.nodes})
        await publishing
    published = [one for each in sources for one in each.published]
    wanted = {each.id for each in published if each.acked}
    for group in ("stock", "mail"):
        await comes(lambda group=group: not wanted - finished(mesh, group), 60)
    handled = mesh.handlings()
    await comes(lambda: all(len(each.nodes) >= NODES for each in watchers), 10)
    timeline.note(
        "sum", minutes=minutes, faults=dict(run.done), calls=len(load.made), failures=load.failures(), events=len(published),
        accepted=len(wanted), refused=[dict(each.errors) for each in sources], again=duplicates(handled),
        least=[each.least for each in censuses], largest=max(memory.values()) / (1 << 20),
    )  # fmt: skip
    assert breaches_of_calls(load.made, mesh.executions()) == []
    assert breaches_of_delivery(published, handled, ["stock", "mail"], {}, {}) == []
    assert [one for each in watchers for one in each.breaches()] == []
    assert [one for each in censuses for one in breaches_of_emptiness(each.counts)] == []
    assert [each for each in load.failed if each.idempotent and each.outcome == "not_executed"] == []
    for each in drivers:
        await meets(each, "worker", NODES)
