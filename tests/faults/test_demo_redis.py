"""The demo on a Redis server, three times, seen from its command line: what works on a good day, and what it says on a bad one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
import tomllib

import pytest

from tests.valkey import Valkey
from vyked_host.testing.waiting import eventually

from .load import comes
from .mesh import SCALE, H, S
from .test_demo_thrice import ROOT, TOPIC, WITHIN_S, Demo

MAY_DIFFER = ("registry", "pubsub", "security")


class OnRedis(Demo):
    """Hosts of vyked.redis.toml."""

    file = ROOT / "vyked.redis.toml"
    meeting = ()

    def __init__(self, mesh, server):
        super().__init__(mesh)
        self.url = server.url
        self.environ = {**os.environ, "REDIS_URL": self.url}
        mesh.environ["REDIS_URL"] = self.url

    @property
    def place(self):
        return [f"registry.redis.url={self.url}", f"pubsub.redis-streams.url={self.url}"]


@pytest.fixture
def server():
    server = Valkey("appendonly yes", "appendfsync always").start()
    yield server
    server.close()


@pytest.fixture
async def demo(server, mesh):
    return await OnRedis(mesh, server).start()


def test_done_when_1_the_files_differ_in_nothing_else():
    plain, redis = (
        tomllib.loads((ROOT / name).read_text(encoding="utf-8")) for name in ("vyked.toml", "vyked.redis.toml")
    )
    for table in MAY_DIFFER:
        plain.pop(table, None), redis.pop(table, None)
    assert redis == plain


async def test_done_when_1_three_hosts_of_the_demo_are_one_mesh_on_redis(demo, timeline):
    services = await demo.nodes()
    timeline.note("ps", nodes=services)
    assert set(services) == {each.node_id for each in demo.hosts}
    assert all({"identity", "accounts", "chat"} <= each for each in services.values())
    calling = (demo.cli("call", "identity.create", f"user_name=u{each}", "password=s3cret") for each in range(6))
    homes = [json.loads(each)["id"] for each in await asyncio.gather(*calling)]  # each node counts its own users from 1
    assert homes.count(1) >= 2
    listed = json.loads(await demo.cli("registry", "list", "-o", "json"))
    assert {each["node_id"] for each in listed} == set(services)
    why = await demo.cli("why", "service", "identity")
    assert "identity" in why


async def test_done_when_1_every_accounts_hears_and_one_mails_on_redis(demo, timeline):
    driver = await demo.driver()
    identity, accounts = driver.client("identity"), driver.client("accounts")
    nodes = [each.node_id for each in demo.hosts]
    for node in nodes:
        await identity.create.using(instance=node)(user_name="ada", password="s3cret")
    for node in nodes:
        await accounts.open.using(instance=node)(user_name="ada")
    await demo.cli("publish", TOPIC, "user_name=ada")

    async def answers():
        signed_in = [await accounts.is_signed_in.using(instance=node)(user_name="ada") for node in nodes]
        mails = [(await accounts.show.using(instance=node)(user_name="ada"))["mails"] for node in nodes]
        return signed_in, sum(mails)

    async def are_right():
        return await answers() == ([False, False, False], 1)

    assert await comes(are_right, 5), await answers()


async def test_done_when_3_ps_is_right_after_a_kill_and_watch_tells_it(demo, timeline):
    """Two heartbeats at the real timers are longer than `ps` takes to start."""
    watching = await asyncio.create_subprocess_exec(
        *demo.words("registry", "watch", "-o", "json"), cwd=demo.mesh.folder, env=demo.environ,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in demo.hosts:
            await asyncio.wait_for(watching.stdout.readline(), WITHIN_S)
        victim = demo.hosts[1]
        killed = victim.kill()
        await victim.ended()
        left = {each.node_id for each in demo.hosts} - {victim.node_id}
        while time.monotonic() < killed + 2 * H / SCALE and set(await demo.nodes()) != left:
            pass
        right = time.monotonic() - killed
        timeline.note("ps", right_after=right)
        assert right <= 2 * H / SCALE
        while json.loads(line := await asyncio.wait_for(watching.stdout.readline(), WITHIN_S))["change"] != "-":
            pass
        assert json.loads(line)["node"]["node_id"] == victim.node_id
    finally:
        watching.kill()
        await watching.wait()
    for each in range(6):
        await demo.cli("call", "identity.create", f"user_name=after{each}", "password=s3cret")


async def test_drain_ends_one_of_them_without_a_failed_call(demo, timeline):
    driver = await demo.driver()
    victim = demo.hosts[2]
    identity = driver.client("identity")
    going = True

    async def calls():
        while going:
            await identity.create(user_name=f"u{time.monotonic_ns()}", password="x")

    calling = asyncio.ensure_future(calls())
    told = await demo.cli("drain", victim.node_id)
    timeline.note("drain", said=told)
    assert await victim.ended() == 0
    going = False
    await calling
    await eventually(lambda: victim.node_id not in driver.node.directory.nodes, 2 * S / SCALE)


async def test_a_host_that_would_only_hold_the_registry_is_told_that_nobody_has_to(mesh, server):
    child = await asyncio.create_subprocess_exec(
        *OnRedis(mesh, server).words("registry", "serve"), env={**os.environ, "REDIS_URL": server.url},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, err = await asyncio.wait_for(child.communicate(), WITHIN_S)
    assert child.returncode == 2
    assert "no host of this mesh has to hold" in err.decode()


async def test_a_server_without_what_the_file_asks_for_is_exit_3_with_words(mesh, server):
    server.kill()
    host = OnRedis(mesh, server).spawn(9)
    assert await host.ended() == 3
    assert "start the server" in host.log
    assert "Traceback" not in host.log
