"""N2 of the registry: the server comes back with a bucket that lost its end, as after a power failure or from a copy. Revisions, and with
them generations and places of heartbeats, went back."""

import os
import subprocess
import sys
from pathlib import Path

import nats
import pytest
from node import QUICK
from test_registry import START_S, Watched
from vyked_nats.options import RegistryOptions
from vyked_nats.registry.registry import NatsRegistry

from vyked_host.contracts import Taken
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.company import record
from vyked_host.testing.leftovers import leaks
from vyked_host.testing.waiting import comes_to

NODE = Path(__file__).with_name("node.py")
SAYS = "the registry has lost its end"


@pytest.fixture
async def env():
    async with leaks(), environment(timing=QUICK) as env:
        yield env


@pytest.fixture
async def open_registry(server, env):
    made = []

    def open_registry():
        made.append(NatsRegistry(RegistryOptions(url=server.url), env))
        return made[-1]

    yield open_registry
    for each in made:
        await each.aclose()


@pytest.fixture
def begin(server, env):
    """Begins a node in a process of its own, which announces itself again when its lease is lost."""
    begun = []

    def begin(node_id):
        begun.append(
            subprocess.Popen([sys.executable, NODE, server.url, env.namespace, node_id], stdout=subprocess.PIPE)
        )
        os.set_blocking(begun[-1].stdout.fileno(), False)

    yield begin
    for each in begun:
        each.kill()
        each.wait()
        each.stdout.close()


async def copied(server, registry):
    server.kill()
    await eventually(lambda: not registry.is_connected)
    copy = server.keep()
    server.start()
    return copy


async def goes_back(server, registry, copy):
    server.kill()
    server.put_back(copy)
    await eventually(lambda: not registry.is_connected)


@pytest.mark.parametrize("others", [0, 500], ids=["first", "late"])
async def test_nobody_stays_lost_or_is_seen_as_it_was(server, open_registry, begin, env, others):
    """Also where others had written more than was lost, before this host was back."""
    registry = open_registry()
    watched = Watched(registry, env)
    begin("one")
    await eventually(lambda: set(watched.nodes) == {"one"}, START_S)
    copy = await copied(server, registry)
    begin("two")
    await eventually(lambda: set(watched.nodes) == {"one", "two"}, START_S)
    await goes_back(server, registry, copy)
    if others:
        client = await nats.connect(server.start_elsewhere())
        for at in range(others):
            await client.jetstream().publish(f"{registry.bucket.root}other.{at}", b"")
        await client.close()
        server.kill()
    server.start()
    await eventually(lambda: registry.is_connected, START_S)

    async def in_bucket():
        return {name for name in ("one", "two") if await registry.bucket.life(name) is not None}

    # both are at the server again, and seen to be alive
    await comes_to({"one", "two"}, in_bucket, START_S)
    await eventually(lambda: set(watched.nodes) == {"one", "two"} and not any(watched.doubts.values()), START_S)
    until = env.clock.now() + 2 * QUICK.lease
    await eventually(lambda: env.clock.now() > until or set(watched.nodes) != {"one", "two"}, START_S)
    assert set(watched.nodes) == {"one", "two"}
    assert not any(each == "down" for each in watched.doubts.values())


async def test_it_is_another_registry_for_all(server, open_registry, env, caplog):
    first, second = open_registry(), open_registry()
    watched = Watched(second, env)
    copy_of = await first.announce(record(env, "one", "shop"))
    await eventually(lambda: set(watched.nodes) == {"one"})
    copy = await copied(server, first)
    lease = await first.announce(record(env, "two", "shop"))
    await eventually(lambda: set(watched.nodes) == {"one", "two"}, START_S)
    await goes_back(server, first, copy)
    server.start()
    await eventually(lambda: copy_of.lost.done() and lease.lost.done(), START_S)
    again = [await first.announce(record(env, name, "shop")) for name in ("one", "two")]
    assert again[0].generation.epoch == again[1].generation.epoch != lease.generation.epoch
    await eventually(
        lambda: (
            watched.nodes == {each.node_id: each.generation.counter for each in again}
            and watched.epochs[-1] == again[0].generation.epoch
        ),
        START_S,
    )
    assert SAYS in caplog.text
    assert "sync_interval" in caplog.text


async def test_the_life_before_this_one_does_not_take_the_node_from_it(server, open_registry, env):
    """The bucket has what the process before said of the node; this one's announcement is lost."""
    before, now = open_registry(), open_registry()
    watched = Watched(open_registry(), env)
    await before.announce(record(env, "one", "shop"))
    copy = await copied(server, before)
    await before.aclose()
    lease = await now.announce(record(env, "one", "shop"))
    await eventually(lambda: watched.nodes.get("one") == lease.generation.counter, START_S)
    await goes_back(server, now, copy)
    server.start()
    await eventually(lease.lost.done, START_S)
    assert not isinstance(lease.lost.result(), Taken)
    again = await now.announce(record(env, "one", "shop"))
    await eventually(lambda: watched.nodes.get("one") == again.generation.counter, START_S)


async def test_who_comes_back_to_all_that_was_there_goes_on(server, open_registry, env, caplog):
    registry = open_registry()
    lease = await registry.announce(record(env, "one", "shop"))
    await copied(server, registry)
    before = lease.revision
    await eventually(lambda: lease.revision > before, START_S)
    assert not lease.lost.done()
    assert SAYS not in caplog.text
