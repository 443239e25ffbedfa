"""Servers that take over from one another: Sentinels name the one to write to, a Cluster moves keys between its nodes. Real ones."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import pytest

from tests.servers import Cluster, Sentinels
from vyked_host.builtin.redis.options import BusOptions, RegistryOptions, ResultOptions, StreamOptions
from vyked_host.builtin.redis.provider import vyked_pubsub_backends, vyked_registries, vyked_result_stores
from vyked_host.builtin.redis.registry.registry import RedisRegistry
from vyked_host.builtin.redis.streams.bus import StreamsBus
from vyked_host.contracts import TimingTable
from vyked_host.errors import CallError
from vyked_host.testing import PubSubConformance, RegistryConformance, ResultStoreConformance, environment
from vyked_host.testing.conformance.company import record
from vyked_host.testing.conformance.pubsub import Inbox, event, to
from vyked_host.testing.leftovers import leaks
from vyked_host.testing.waiting import eventually

QUICK = TimingTable(heartbeat=0.3, lease=0.9, sweep=0.1, gone_after=0.3, dial=2.0, ping=0.6, pong=0.5)
WITHIN_S = 20.0


@pytest.fixture
def sentinels():
    made = Sentinels()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_cluster():
    made = Cluster()
    yield made
    made.close()


@pytest.fixture
def cluster():
    made = Cluster()
    yield made
    made.close()


@pytest.fixture
async def env():
    async with leaks(), environment(timing=QUICK, namespace="shop") as env:
        yield env


async def apart(work):
    """Do what blocks in a thread that ends with it."""
    thread = threading.Thread(target=work)
    thread.start()
    await eventually(lambda: not thread.is_alive(), 2 * WITHIN_S)


class Node:
    """One node at the registry: announced again when its lease is lost, as a host does; and all that it was told."""

    def __init__(self, url, env, node_id):
        self.registry, self._env, self.node_id = RedisRegistry(RegistryOptions(url=url), env), env, node_id
        self.known, self.gone, self.announced, self.epochs = {}, [], 0, set()

    async def start(self):
        self._stops = [self._env.tasks(self._stay(), "stay"), self._env.tasks(self._follow(), "follow")]
        return self

    async def _stay(self):
        while True:
            try:
                self.lease = await self.registry.announce(record(self._env, self.node_id, "shop"))
            except CallError:
                await asyncio.sleep(0.1)
                continue
            self.announced += 1
            await asyncio.wait({self.lease.lost})

    async def _follow(self):
        async for change in self.registry.watch(None):
            self.epochs.add(change.epoch)
            if change.snapshot:
                self.known = {}
            self.known |= {each.node_id: change.doubts.get(each.node_id) for _, each in change.nodes}
            for node_id in change.gone:
                self.gone.append(node_id)
                self.known.pop(node_id, None)

    async def aclose(self):
        for stop in self._stops:
            stop()
        await self.registry.aclose()


async def three(url, env):
    nodes = [await Node(url, env, name).start() for name in "abc"]
    await eventually(lambda: all(set(each.known) == set("abc") for each in nodes), WITHIN_S)
    return nodes


async def well(nodes):
    await eventually(lambda: all(each.known == dict.fromkeys("abc") for each in nodes), WITHIN_S)


async def test_a_replica_that_takes_over_keeps_the_registry(sentinels, env):
    nodes = await three(sentinels.url, env)
    await apart(sentinels.takes_over)
    await well(nodes)
    await nodes[0].lease.update(record(env, "a", "cart"))
    assert [each.gone for each in nodes] == [[], [], []]
    assert {len(each.epochs) for each in nodes} == {1}
    for each in nodes:
        await each.aclose()


async def test_a_replica_that_had_not_heard_of_the_last_is_told_again(sentinels, env):
    nodes = await three(sentinels.url, env)
    sentinels.replica.ask("REPLICAOF", "NO", "ONE")  # it hears no more, and Sentinel takes some time to mend that
    late = await Node(sentinels.url, env, "d").start()
    await eventually(lambda: "d" in nodes[0].known, WITHIN_S)
    await apart(sentinels.takes_over)
    everybody = dict.fromkeys("abcd")
    await eventually(lambda: all(each.known == everybody for each in (*nodes, late)), WITHIN_S)
    for each in (*nodes, late):
        await each.aclose()


async def test_a_node_of_a_cluster_that_takes_over_keeps_the_registry(cluster, env):
    nodes = await three(cluster.url, env)
    master, replica = cluster.holder("{shop}")
    await apart(master.kill)
    await eventually(lambda: b"role:master" in replica.ask("INFO", "replication"), WITHIN_S)
    await well(nodes)
    assert [each.gone for each in nodes] == [[], [], []]
    for each in nodes:
        await each.aclose()


async def test_a_registry_that_is_closed_does_not_say_that_it_tries_again(shared_cluster, env, caplog):
    node = await Node(shared_cluster.url, env, "a").start()
    await eventually(lambda: "a" in node.known, WITHIN_S)
    await node.aclose()
    assert [each.getMessage() for each in caplog.records if each.levelname != "INFO"] == []


async def test_in_a_cluster_a_lost_connection_is_seen_too(shared_cluster, env):
    nodes = await three(shared_cluster.url, env)
    await nodes[2].aclose()
    await eventually(lambda: nodes[0].known.get("c", "gone") in ("down", "gone"), 4 * QUICK.sweep + 1)
    await eventually(lambda: "c" not in nodes[1].known, WITHIN_S)
    for each in nodes[:2]:
        await each.aclose()


async def test_in_a_cluster_the_rights_of_the_docs_are_enough(shared_cluster, env):
    manual = (Path(__file__).parents[3] / "docs" / "redis.md").read_text()
    rights = re.search(r"^    (ACL SETUSER registry on >PASSWORD .+)$", manual, re.MULTILINE)[1].split()
    more = re.search(r"`(\+spublish [^`]+)`", " ".join(manual.split()))[1].split()
    for server, _ in shared_cluster.servers:
        assert server.ask(*rights, *more) == b"+OK\r\n"
    nodes = await three(shared_cluster.url.replace("://", "://registry:PASSWORD@"), env)
    await nodes[2].aclose()
    await eventually(lambda: "c" not in nodes[0].known, WITHIN_S)
    for each in nodes[:2]:
        await each.aclose()


@pytest.mark.parametrize("kind", ["sentinels", "cluster"])
async def test_events_go_on_where_another_server_took_over(request, env, kind):
    servers = request.getfixturevalue(kind)
    publishing, consuming = (StreamsBus(StreamOptions(url=servers.url, ack_wait=2.0), env) for _ in range(2))
    inbox = Inbox()
    await consuming.subscribe(to("mail", "m"), inbox)
    before = [await _published(publishing, event(), env) for _ in range(20)]
    await eventually(lambda: set(before) <= set(inbox.ids), WITHIN_S)
    if kind == "sentinels":
        await apart(servers.takes_over)
    else:
        master, replica = servers.holder("{shop}")
        await apart(master.kill)
        await eventually(lambda: b"role:master" in replica.ask("INFO", "replication"), WITHIN_S)
    after = [await _published(publishing, event(), env) for _ in range(20)]
    await eventually(lambda: set(after) <= set(inbox.ids), WITHIN_S)
    for each in (publishing, consuming):
        await each.aclose()


async def _published(bus, sent, env):
    """With the same id until it is accepted, as a publisher that wants it told does."""
    until = env.clock.now() + WITHIN_S
    while True:
        try:
            await bus.publish(sent, deadline=env.clock.now() + 2)
        except CallError:
            assert env.clock.now() < until
        else:
            return sent.id


# ---- the kit, on a Cluster ---------------------------------------------------------------------------------------------
class TestRegistryInACluster(RegistryConformance):
    virtual_time = False
    examples, steps = 1, 8

    @pytest.fixture
    def provider(self):
        (found,) = vyked_registries()
        return found

    @pytest.fixture
    def options(self, provider, shared_cluster):
        return provider.options(url=shared_cluster.url)


class TestResultsInACluster(ResultStoreConformance):
    shared = True

    @pytest.fixture
    def provider(self):
        (found,) = vyked_result_stores()
        return found

    @pytest.fixture
    def options(self, shared_cluster):
        return ResultOptions(url=shared_cluster.url)


class TestBusInACluster(PubSubConformance):
    @pytest.fixture
    def provider(self):
        return next(each for each in vyked_pubsub_backends() if each.name == "redis")

    @pytest.fixture
    def options(self, shared_cluster):
        return BusOptions(url=shared_cluster.url)


class TestStreamsInACluster(PubSubConformance):
    ack_wait_s = 0.3

    @pytest.fixture
    def provider(self):
        return next(each for each in vyked_pubsub_backends() if each.name == "redis-streams")

    @pytest.fixture
    def options(self, shared_cluster):
        return StreamOptions(url=shared_cluster.url, ack_wait=0.3)
