"""The registry on a real server: what only a server shows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from vyked_host.builtin.redis.options import RegistryOptions
from vyked_host.builtin.redis.registry.registry import RedisRegistry
from vyked_host.contracts import Anew, TimingTable
from vyked_host.errors import Unavailable
from vyked_host.testing import environment, leaks
from vyked_host.testing.conformance.company import record
from vyked_host.testing.waiting import eventually

QUICK = TimingTable(heartbeat=0.2, lease=0.6, sweep=0.1, gone_after=0.2, dial=1.5, ping=0.4, pong=0.3)
DOC = Path(__file__).parents[3] / "docs" / "redis.md"


@pytest.fixture
async def open_registry():
    """Opens a registry; all are closed at the end, and nothing of them may be left."""
    made = []
    async with leaks(), environment(timing=QUICK, namespace="shop") as env:

        def open_registry(url, **options):
            made.append(RedisRegistry(RegistryOptions(url=url, **options), env))
            return made[-1]

        open_registry.env = env
        yield open_registry
        for each in made:
            await each.aclose()


class Watched:
    """What a watch tells."""

    def __init__(self, registry, env):
        self.nodes, self.epochs = {}, []
        self.stop = env.tasks(self._follow(registry), "watched")

    async def _follow(self, registry):
        async for change in registry.watch(None):
            if change.snapshot:
                self.nodes.clear()
                self.epochs.append(change.epoch)
            self.nodes |= {each.node_id: generation.counter for generation, each in change.nodes}
            for node_id in change.gone:
                self.nodes.pop(node_id, None)


async def test_a_user_with_the_rights_of_the_docs_can_do_all_of_it(server, open_registry, caplog):
    line = re.search(r"^    (ACL SETUSER registry on >PASSWORD .+)$", DOC.read_text(), re.MULTILINE)[1]
    assert server.ask(*line.split()) == b"+OK\r\n"
    url = server.url.replace("unix://", "unix://registry:PASSWORD@")
    one, two, env = open_registry(url), open_registry(url), open_registry.env
    watched = Watched(two, env)
    lease = await one.announce(record(env, "a", "shop"))
    other = await one.announce(record(env, "b", "shop"))
    await eventually(lambda: set(watched.nodes) == {"a", "b"})
    await lease.update(record(env, "a", "cart"))
    await lease.withdraw()
    await eventually(lambda: set(watched.nodes) == {"b"})
    await eventually(lambda: b"$-1" not in server.ask("HGET", "vyked:{shop}:registry:links", "b"))
    other.close()  # its beats end, and its channel is left: taken for dead, and removed
    await eventually(lambda: watched.nodes == {})
    assert not [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")]


async def test_a_server_that_lost_its_last_writes_gives_no_generation_a_second_time(server, open_registry):
    """An append-only file is written once a second where the disk is slow: kill -9 may take what was answered already."""
    registry, reader, env = open_registry(server.url), open_registry(server.url), open_registry.env
    watched = Watched(reader, env)
    first = await registry.announce(record(env, "a", "shop"))
    early = await registry.announce(record(env, "b", "shop"))
    await eventually(lambda: watched.nodes == {"a": 1, "b": 2})
    server.ask("HSET", "vyked:{shop}:registry:state", "counter", "0")
    again = await registry.announce(record(env, "b", "shop"))
    assert again.generation.epoch == early.generation.epoch
    assert again.generation.counter > early.generation.counter
    server.ask("HSET", "vyked:{shop}:registry:state", "counter", "0")
    other = await reader.announce(record(env, "c", "shop"))  # who only saw them
    assert other.generation.counter > early.generation.counter
    for lease in (first, again, other):
        await lease.withdraw()


async def test_without_its_rights_it_says_which_is_missing(server, open_registry, caplog):
    server.ask("ACL", "SETUSER", "poor", "on", ">PASSWORD", "+@connection", "+client|setinfo")
    registry = open_registry(server.url.replace("unix://", "unix://poor:PASSWORD@"))
    with pytest.raises(Unavailable, match="no permissions"):
        await registry.announce(record(open_registry.env, "a"))
    await eventually(lambda: "who is where is not seen" in caplog.text)
    assert "PASSWORD" not in caplog.text


async def test_keys_that_hold_something_else_are_told_once_and_end_nothing(server, open_registry, caplog):
    server.ask("SET", "vyked:{shop}:registry:state", "a stranger's")
    registry, env = open_registry(server.url), open_registry.env
    watched = Watched(registry, env)
    with pytest.raises(Unavailable, match="WRONGTYPE"):
        await registry.announce(record(env, "a"))
    await eventually(lambda: "WRONGTYPE" in caplog.text)
    server.ask("DEL", "vyked:{shop}:registry:state")
    await registry.announce(record(env, "a"))
    await eventually(lambda: "a" in watched.nodes)
    assert caplog.text.count("who is where is not seen") == 1


async def test_a_record_of_a_stranger_is_left_out_and_named_once(server, open_registry, caplog):
    registry, env = open_registry(server.url), open_registry.env
    watched = Watched(registry, env)
    await registry.announce(record(env, "a", "shop"))
    await eventually(lambda: "a" in watched.nodes)
    server.ask("HSET", "vyked:{shop}:registry:lives", "evil", "x y")
    server.ask("HSET", "vyked:{shop}:registry:records", "evil", "\x00\xff")
    late = open_registry(server.url)
    other = Watched(late, env)
    await eventually(lambda: "a" in other.nodes)
    await asyncio.sleep(0)
    assert set(other.nodes) == {"a"}
    assert caplog.text.count("can't be read and is left out") == 1


async def test_meshes_with_one_server_don_t_mix(server, open_registry):
    mine = Watched(open_registry(server.url), open_registry.env)
    async with environment(timing=QUICK, namespace="other") as env:
        theirs = RedisRegistry(RegistryOptions(url=server.url), env)
        await theirs.announce(record(env, "x"))
        own = await open_registry(server.url).announce(record(open_registry.env, "a"))
        await eventually(lambda: set(mine.nodes) == {"a"})
        assert not own.lost.done()
        await theirs.aclose()


@pytest.mark.parametrize("how", ["FLUSHALL", "SCRIPT FLUSH"])
async def test_what_is_flushed_comes_back(server, open_registry, how):
    registry, env = open_registry(server.url), open_registry.env
    watched = Watched(registry, env)
    lease = await registry.announce(record(env, "a"))
    await eventually(lambda: watched.nodes)
    server.ask(*how.split())
    if how == "FLUSHALL":
        await eventually(lease.lost.done)
        assert isinstance(lease.lost.result(), Anew)
        lease = await registry.announce(record(env, "a"))
        await eventually(lambda: len(watched.epochs) == 2 and watched.nodes)
    await lease.update(record(env, "a", "cart"))
    assert not lease.lost.done()


async def test_nothing_is_said_after_the_deadline_while_the_server_hangs(server, open_registry):
    registry, env = open_registry(server.url), open_registry.env
    lease = await registry.announce(record(env, "a"))
    server.freeze()
    began = env.clock.now()
    with pytest.raises(Unavailable) as caught:
        await lease.update(record(env, "a", "cart"))
    took = env.clock.now() - began
    server.thaw()
    assert caught.value.executed == "unknown"
    assert took < QUICK.dial + 1
    await lease.update(record(env, "a", "cart"))
