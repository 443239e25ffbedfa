"""Rows E1, D1 and N1 at length: `--events` designated events (100,000) over each durable bus, while a consumer is killed every two
seconds and the broker twice. What was accepted is handled, and a repetition says so. Timers are a fifth of the real ones."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import pytest

from tests.faults.history import breaches_of_delivery, duplicates
from tests.faults.load import comes
from tests.faults.mesh import free_port, hub_of
from tests.faults.test_events import DURABLE, finished, published, two_publishers
from tests.nats import jetstream
from tests.valkey import Valkey
from vyked_host.testing.waiting import eventually

TIMING = "[timing]\nscale = 0.2\nhello = 25\ndial = 50\nstart = 150\nstop = 150\n"
"""What depends on the machine is as it is."""
KILL_EVERY_S = 2.0
CONSUMERS = 3
TRIES = 5
"""Publications of which nobody knows whether they arrived go out again under their id, as docs/semantics.md tells publishers."""
PAUSE_S = 0.002
"""Of each of two publishers after each event: about 900 a second together, so that the killing takes its time too."""
START_S = 120.0
LOOK_EVERY_S = 2.0
"""The whole history is read each time."""


class Broker(NamedTuple):
    """What is in vyked.toml, and the server that is killed; None: whoever of the nodes holds the hub is the broker."""

    text: str
    server: Valkey | None = None


def embedded():
    return Broker(DURABLE)


def redis_streams():
    port = free_port()
    url = f'url = "redis://127.0.0.1:{port}/0"'
    text = f'[registry]\nuse = "redis"\n[registry.redis]\n{url}\n[pubsub]\nuse = "redis-streams"\n[pubsub.redis-streams]\n{url}\n'
    return Broker(text, Valkey(f"port {port}", "bind 127.0.0.1", "appendonly yes", "appendfsync everysec").start())


def nats_jetstream():
    server = jetstream()
    url = f'url = "{server.url}"'
    text = f'[registry]\nuse = "nats"\n[registry.nats]\n{url}\n[pubsub]\nuse = "nats-jetstream"\n[pubsub.nats-jetstream]\n{url}\n'
    return Broker(text, server)


@pytest.fixture(params=[embedded, redis_streams, nats_jetstream], ids=lambda made: made.__name__)
def broker(request):
    made = request.param()
    yield made
    if made.server is not None:
        made.server.close()


class Run:
    """The consumers of one run, and what is done to them."""

    def __init__(self, mesh, timeline, server):
        self._mesh, self._timeline, self._server = mesh, timeline, server
        self.nodes, self.driver, self._count = [], None, 0
        self.killed = self.broken = 0

    async def add(self):
        """One more consumer; one that finds no broker just now ends and says so, and somebody starts it again."""
        while True:
            self._count += 1
            node = self._mesh.spawn(f"c{self._count}", "stock")
            await eventually(lambda node=node: node.is_ready or not node.is_alive, START_S)
            if node.is_ready:
                self.nodes.append(node)
                return
            assert node.code == 3, node.log
            self._timeline.note(f"{node.name} ends: {node.lines[-1][:200]}")

    async def kill_a_consumer(self):
        holder = self._holder()
        victim = self._timeline.random.choice([each for each in self.nodes if each is not holder])
        self.killed += 1
        await self._replace(victim)

    async def kill_the_broker(self):
        self.broken += 1
        self._timeline.note(f"the broker is killed, {self.broken}")
        if self._server is not None:
            self._server.kill()
            await asyncio.to_thread(self._server.start)
            return
        await eventually(lambda: self._holder() is not None, 30)
        await self._replace(self._holder())

    async def _replace(self, victim):
        victim.kill()
        await victim.ended()
        self.nodes.remove(victim)
        await self.add()

    def _holder(self):
        if self._server is not None:
            return None
        return next((each for each in self.nodes if each.node_id == hub_of(self.driver).holder), None)


async def test_E1_a_hundred_thousand_events_outlive_their_consumers_and_the_broker(broker, new_mesh, timeline, request):
    total = request.config.getoption("--events")
    mesh = new_mesh(broker.text + TIMING)
    run = Run(mesh, timeline, broker.server)
    for _ in range(CONSUMERS):
        await run.add()
    drivers, sources, sending = await two_publishers(mesh, total, pause=PAUSE_S, timeout=60, tries=TRIES)
    run.driver, began, breaks = drivers[0], time.monotonic(), [total // 3, 2 * total // 3]
    while not sending.done():
        next_at = time.monotonic() + KILL_EVERY_S
        if breaks and len(published(sources)) >= breaks[0]:
            breaks.pop(0)
            await run.kill_the_broker()
        else:
            await run.kill_a_consumer()
        await asyncio.wait({sending}, timeout=max(0.0, next_at - time.monotonic()))
    await sending
    sent_s = time.monotonic() - began
    wanted = {each.id for each in published(sources) if each.acked}
    await comes(lambda: not wanted - finished(mesh), 120, LOOK_EVERY_S)
    handled = mesh.handlings()
    done = {each.id for each in handled if each.ended is not None}
    timeline.note(
        "E1", accepted=len(wanted), refused=[dict(each.errors) for each in sources], lost=len(wanted - done),
        again=duplicates(handled), said_so=sum(each.count > 1 for each in handled), consumers_killed=run.killed,
        broker_killed=run.broken, sent_in=sent_s, took=max(each.ended or 0.0 for each in handled) - began,
    )  # fmt: skip
    assert breaches_of_delivery(published(sources), handled, ["stock"], {}, {}) == []
    assert len(wanted) == total
    assert run.broken == 2
