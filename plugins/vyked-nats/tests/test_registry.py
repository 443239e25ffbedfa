"""The registry on bad days: nodes are killed and stopped, the server is killed, hangs, comes back without its data."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import nats
import pytest
from node import QUICK
from server import JETSTREAM, NatsServer, says_it_is
from vyked_nats.options import JetStreamOptions, RegistryOptions
from vyked_nats.plugin import _jetstream_bus, _verify_jetstream
from vyked_nats.registry.bucket import Bucket, read, written
from vyked_nats.registry.registry import NatsRegistry
from vyked_nats.registry.verify import fit

from vyked_host import StartError, Unavailable
from vyked_host.contracts import Anew, Away, Unfit
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.company import record
from vyked_host.testing.leftovers import leaks

START_S = 60.0
"""Three processes begin, perhaps on a machine that does much else."""
NODE = Path(__file__).with_name("node.py")


@pytest.fixture
async def open_registry():
    """Opens a registry; all are closed at the end, and nothing of them may be left."""
    made = []
    async with leaks(), environment(timing=QUICK) as env:

        def open_registry(url, **options):
            made.append(NatsRegistry(RegistryOptions(url=url, **options), env))
            return made[-1]

        open_registry.env = env
        yield open_registry
        for each in made:
            await each.aclose()


@pytest.fixture
def begin(open_registry):
    """Begins a node in a process of its own."""
    begun = []

    def begin(url, node_id):
        command = [sys.executable, NODE, url, open_registry.env.namespace, node_id]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        os.set_blocking(begun[-1].stdout.fileno(), False)
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.wait()
        each.stdout.close()


class Watched:
    """What a watch tells, and when."""

    def __init__(self, registry, env):
        self.nodes, self.doubts, self.epochs, self.smallest = {}, {}, [], None
        self._now = env.clock.now
        self.gone_at = {}
        self.stop = env.tasks(self._follow(registry), "watched")

    async def _follow(self, registry):
        async for change in registry.watch(None):
            if change.snapshot:
                self.nodes.clear()
                self.epochs.append(change.epoch)
            self.nodes |= {each.node_id: generation.counter for generation, each in change.nodes}
            self.doubts |= {each.node_id: change.doubts.get(each.node_id) for _, each in change.nodes}
            for node_id in change.gone:
                self.nodes.pop(node_id, None)
                self.gone_at[node_id] = self._now()


async def test_a_node_that_is_killed_is_down_at_once_and_gone_after_its_grace(shared, open_registry, begin):
    env = open_registry.env
    watched = Watched(open_registry(shared.url), env)
    nodes = [begin(shared.url, name) for name in ("one", "two", "three")]
    await eventually(lambda: set(watched.nodes) == {"one", "two", "three"}, START_S)
    await eventually(lambda: not any(watched.doubts.values()))
    nodes[0].kill()
    began = env.clock.now()
    await eventually(lambda: watched.doubts["one"] == "down" or "one" in watched.gone_at)
    assert env.clock.now() - began < QUICK.lease  # by its connection, not by silence
    await eventually(lambda: set(watched.nodes) == {"two", "three"})


async def test_a_node_that_is_stopped_is_suspect_then_gone_and_comes_back_in_a_new_life(shared, open_registry, begin):
    env = open_registry.env
    watched = Watched(open_registry(shared.url), env)
    nodes = [begin(shared.url, name) for name in ("one", "two", "three")]
    await eventually(lambda: set(watched.nodes) == {"one", "two", "three"}, START_S)
    before = watched.nodes["one"]
    nodes[0].send_signal(signal.SIGSTOP)
    began = env.clock.now()
    await eventually(lambda: watched.doubts["one"] == "suspect")
    await eventually(lambda: "one" in watched.gone_at)
    assert (
        watched.gone_at["one"] - began > QUICK.lease - QUICK.heartbeat * 1.1
    )  # never earlier: its last beat was one beat ago
    nodes[0].send_signal(signal.SIGCONT)
    await eventually(lambda: watched.nodes.get("one", before) > before)
    await eventually(lambda: set(watched.nodes) == {"one", "two", "three"} and not any(watched.doubts.values()))


async def test_while_the_server_is_away_nothing_is_forgotten_and_nobody_is_removed_afterwards(
    server, open_registry, begin
):
    env = open_registry.env
    watched = Watched(open_registry(server.url), env)
    for name in ("one", "two", "three"):
        begin(server.url, name)
    await eventually(lambda: set(watched.nodes) == {"one", "two", "three"}, START_S)
    before = dict(watched.nodes)
    server.kill()
    until = env.clock.now() + 2 * QUICK.lease
    await eventually(lambda: env.clock.now() > until or set(watched.nodes) != set(before))
    server.start()
    until = env.clock.now() + 2 * QUICK.lease
    await eventually(lambda: env.clock.now() > until or watched.gone_at)
    assert watched.nodes == before  # the same lives go on
    assert len(set(watched.epochs)) == 1
    await eventually(lambda: not any(watched.doubts.values()))


async def test_a_server_that_hangs_for_long_costs_nobody_a_lease(server, open_registry, begin):
    env = open_registry.env
    watched = Watched(open_registry(server.url), env)
    for name in ("one", "two", "three"):
        begin(server.url, name)
    await eventually(lambda: set(watched.nodes) == {"one", "two", "three"}, START_S)
    before = dict(watched.nodes)
    server.freeze()
    until = env.clock.now() + 2 * QUICK.lease
    await eventually(lambda: env.clock.now() > until)
    server.thaw()
    until = env.clock.now() + 2 * QUICK.lease
    await eventually(lambda: env.clock.now() > until or watched.gone_at)
    assert watched.nodes == before
    await eventually(lambda: not any(watched.doubts.values()))


async def test_a_bucket_that_is_gone_is_a_new_registry_and_everybody_announces_again(shared, open_registry):
    env = open_registry.env
    registry = open_registry(shared.url)
    watched = Watched(registry, env)
    lease = await registry.announce(record(env, "one", "shop"))
    await eventually(lambda: "one" in watched.nodes)
    client = await nats.connect(shared.url)
    await client.jetstream().delete_stream(registry.bucket.stream)
    await client.close()
    await eventually(lease.lost.done)
    assert isinstance(lease.lost.result(), Anew)
    again = await registry.announce(record(env, "one", "shop"))
    assert again.generation.epoch != lease.generation.epoch
    await eventually(lambda: watched.nodes == {"one": again.generation.counter})


async def test_a_heartbeat_of_a_life_that_is_over_changes_nothing(shared, open_registry):
    env = open_registry.env
    registry, other = open_registry(shared.url), open_registry(shared.url)
    old = await registry.announce(record(env, "one", "shop"))
    new = await other.announce(record(env, "one", "cart"))
    before = await registry.bucket.life("one")
    with pytest.raises(Unavailable):
        await old.update(record(env, "one", "stale"))
    await old.withdraw()
    after = await registry.bucket.life("one")
    assert after[1].token == before[1].token == new.life.token


async def test_what_is_no_record_is_left_out_and_the_rest_is_seen(shared, open_registry, caplog):
    env = open_registry.env
    registry = open_registry(shared.url)
    watched = Watched(registry, env)
    await registry.announce(record(env, "one", "shop"))
    client = await nats.connect(shared.url)
    for key in ("life.bad", "record.bad.x", "life.a.b.c", "record.bad", "down.bad", "life.=zz"):
        await client.jetstream().publish(f"{registry.bucket.root}{key}", b"\xff junk")
    await client.close()
    await registry.announce(record(env, "two", "shop"))
    await eventually(lambda: set(watched.nodes) == {"one", "two"})
    assert caplog.text.count("can't be read") == 1


async def test_who_is_gone_leaves_nothing_in_the_bucket(shared, open_registry):
    env = open_registry.env
    registry = open_registry(shared.url)
    lease = await registry.announce(record(env, "one", "shop"))
    await lease.withdraw()

    async def messages():
        return (await registry.api.ask(f"STREAM.INFO.{registry.bucket.stream}"))["state"]["messages"]

    assert await messages() == 1  # that it is gone, for a while
    while await messages():  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.05)


async def test_a_server_without_jetstream_has_no_registry(open_registry):
    server = NatsServer().start()
    try:
        registry = open_registry(server.url)
        with pytest.raises(Unavailable, match="JetStream"):
            await registry.announce(record(open_registry.env, "one"))
    finally:
        await registry.aclose()
        server.close()


@pytest.mark.parametrize("node_id", ["a1", "web-1.example:4502/ü", "=41", "x" * 100])
def test_any_node_id_fits_into_a_key(node_id):
    part = written(node_id)
    assert read(part) == node_id
    assert not set(part) & set(" .*>/:")
    assert Bucket(None, "b", 1, None, None).key_of(f"$KV.b.life.{part}").node_id == node_id


# ---- what is refused at start --------------------------------------------------------------------------------------------
@pytest.fixture
def run_server():
    """Servers that are set in some way."""
    made = []

    def run(*settings):
        made.append(NatsServer(*settings).start())
        return made[-1]

    yield run
    for each in made:
        each.close()


async def test_a_server_without_jetstream_keeps_no_registry(run_server, open_registry):
    with pytest.raises(StartError, match="nats-server -js") as found:
        await fit(open_registry(run_server().url))
    assert not isinstance(found.value, Away)


@pytest.mark.parametrize("version", ["2.9.25", "2.2.0"])
async def test_a_server_that_is_too_old_keeps_no_registry(shared, open_registry, version):
    async with says_it_is(shared, version) as url:
        with pytest.raises(StartError, match=rf"nats-server {version}, .* needs 2\.10\.0 or later") as found:
            await fit(open_registry(url))
        assert not isinstance(found.value, Away)


@pytest.mark.parametrize(("version", "warns"), [("2.10.24", 1), ("2.10.25", 0)])
async def test_one_that_may_lose_readers_of_a_stream_is_warned_of_once_by_registry_and_bus(
    shared, open_registry, caplog, version, warns
):
    async with says_it_is(shared, version) as url:
        await fit(open_registry(url))
        bus = _jetstream_bus(JetStreamOptions(url=url), open_registry.env)
        await _verify_jetstream(bus)
        await bus.aclose()
    assert sum(f"nats-server {version} may" in each.getMessage() for each in caplog.records) == warns


async def test_a_server_that_is_away_is_told_apart_from_one_that_does_not_let_us_in(run_server, open_registry):
    server = run_server("authorization { user: a, password: s3cret }", JETSTREAM)
    # it says so and hangs up, and the second may overtake the first
    with pytest.raises(StartError, match=r"Authorization Violation|does not let us in") as refused:
        await fit(open_registry(server.url.replace("//", "//a:wrong-word@")))
    assert not isinstance(refused.value, Away)
    assert "correct user and password in [registry.nats] url" in str(refused.value)
    assert "start the server" not in str(refused.value)
    assert "wrong-word" not in str(refused.value)
    await fit(open_registry(server.url.replace("//", "//a:s3cret@")))
    server.kill()
    with pytest.raises(Away, match=r"\[registry.nats\] url"):
        await fit(open_registry(server.url))


async def test_a_bucket_in_which_nodes_expire_is_refused_with_the_remedy(shared, open_registry):
    registry = open_registry(shared.url)
    client = await nats.connect(shared.url)
    await client.jetstream().create_key_value(bucket=registry.bucket.name, ttl=60)
    await client.close()
    with pytest.raises(Unfit, match="expire") as found:
        await fit(registry)
    assert (found.value.key, found.value.remedy) == ("registry.nats.url", f"nats kv rm {registry.bucket.name}")


# ---- reading everything again ------------------------------------------------------------------------------------------
def read_without_lives(registry):
    """Everything was read again, and the key of each life was written anew meanwhile: the old value is no more, the new one has not come."""
    reading = registry._reading
    reading.view.begin(registry.bucket.epoch, interrupted=False)
    reading._complete()


async def test_whose_heartbeat_came_while_everything_was_read_again_is_not_gone(shared, open_registry):
    registry, env = open_registry(shared.url), open_registry.env
    watched = Watched(registry, env)
    lease = await registry.announce(record(env, "one", "shop"))
    await eventually(lambda: set(watched.nodes) == {"one"})
    read_without_lives(registry)
    before = lease.revision
    await eventually(lambda: lease.revision > before)
    await registry.announce(record(env, "two", "shop"))  # what was said before it has been heard when it is
    await eventually(lambda: "two" in watched.nodes)
    assert set(watched.nodes) == {"one", "two"}
    assert watched.gone_at == {}
    assert not lease.lost.done()


async def test_who_went_unheard_is_gone_when_everything_was_read_again(shared, open_registry):
    registry, env = open_registry(shared.url), open_registry.env
    watched = Watched(registry, env)
    lease = await registry.announce(record(env, "one", "shop"))
    await eventually(lambda: set(watched.nodes) == {"one"})
    lease.close()  # its heart beats no more
    await registry.bucket.purge("life.one")  # nobody is told
    read_without_lives(registry)
    await eventually(lambda: "one" in watched.gone_at)
