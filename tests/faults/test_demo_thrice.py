"""The demo, three times, seen from its command line: what works on a good day, and what `ps` says on a bad one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path

import pytest

from vyked_host.assembly import Host
from vyked_host.assembly.prepare import prepare
from vyked_host.testing.waiting import eventually

from .load import comes
from .mesh import PROGRAM, SCALE, H, hub_of

ROOT = Path(__file__).parents[2]
TOPIC = "identity.password_changed"
WITHIN_S = 60.0
GROUPS = ("registry", "why", "dlq")
"""Commands of two words."""


class Demo:
    """Hosts of the repository's vyked.toml, in a mesh and at a place of their own."""

    file = ROOT / "vyked.toml"
    environ = None

    def __init__(self, mesh):
        self.mesh = mesh
        self.hosts = []
        self._children = []

    def spawn(self, number, *sets):
        return self.mesh.run(
            f"n{number}", f"host.mesh={self.mesh.name}", f"host.name=n{number}", *self.place, *sets,
            "transports.tcp.port=0", "transports.http.port=0", file=self.file,
        )  # fmt: skip

    @property
    def place(self):
        return [f"registry.embedded.address={self.mesh.address}"]

    async def start(self, *sets):
        self.hosts = [self.spawn(each, *sets) for each in (1, 2, 3)]
        for each in self.hosts:
            await each.ready()
        return self

    def words(self, *words):
        where = ["--config", str(self.file), "--mesh", self.mesh.name, *self.meeting]
        count = 2 if words[0] in GROUPS else 1
        return [PROGRAM, *words[:count], *where, *words[count:]]

    @property
    def meeting(self):
        return ["--registry", self.mesh.address]

    async def cli(self, *words):
        """One command to its end: what it printed."""
        child = await asyncio.create_subprocess_exec(
            *self.words(*words), cwd=self.mesh.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environ,
        )  # fmt: skip
        try:
            async with asyncio.timeout(WITHIN_S):
                out, err = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise
        assert child.returncode == 0, err.decode()
        return out.decode()

    async def ps(self):
        return json.loads(await self.cli("ps", "-o", "json"))

    async def nodes(self):
        """Node id -> services active there, as `ps` says."""
        return {
            each["node"]: {one["service"] for one in each["instances"] if one["status"] == "active"}
            for each in (await self.ps())["nodes"]
        }

    async def driver(self):
        sets = [f"host.mesh={self.mesh.name}", *self.place, f"timing.scale={SCALE}", "timing.dial=25"]
        return await self.mesh.enter(Host.joining(prepare(str(self.file), overrides=sets, environ={})))


@pytest.fixture
async def demo(mesh):
    return Demo(mesh)


async def test_done_when_1_three_hosts_of_the_demo_are_one_mesh(demo, timeline):
    await demo.start()
    services = await demo.nodes()
    timeline.note("ps", nodes=services)
    assert set(services) == {each.node_id for each in demo.hosts}
    assert all({"identity", "accounts"} <= each for each in services.values())

    calling = (demo.cli("call", "identity.create", f"user_name=u{each}", "password=s3cret") for each in range(9))
    created = await asyncio.gather(*calling)
    homes = [json.loads(each)["id"] for each in created]  # each node counts its own users from 1
    timeline.note("calls", ids=homes)
    assert homes.count(1) >= 2

    tail = await asyncio.create_subprocess_exec(
        *demo.words("tail", "--count", "1", TOPIC), cwd=demo.mesh.folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        driver = await demo.driver()
        desk = hub_of(driver)
        assert desk.holder in services
        seen = asyncio.ensure_future(tail.communicate())
        deadline = time.monotonic() + WITHIN_S
        while not seen.done() and time.monotonic() < deadline:  # who tails says not when it has begun
            await demo.cli("publish", TOPIC, "user_name=ada")
        out, _ = await seen
    finally:
        if tail.returncode is None:
            tail.kill()
            await tail.wait()
    told = json.loads(out)
    timeline.note("tail", said=told)
    assert told["payload"] == {"user_name": "ada"}


async def test_done_when_1_every_accounts_hears_and_one_mails(demo, timeline):
    """Told by what the services themselves answer: sessions are ended everywhere, one mail is sent."""
    await demo.start()
    driver = await demo.driver()
    identity, accounts = driver.client("identity"), driver.client("accounts")
    nodes = [each.node_id for each in demo.hosts]
    for node in nodes:
        await identity.create.using(instance=node)(user_name="ada", password="s3cret")
    opened = []
    for node in nodes:
        # accounts asks the identity of its own node first
        await accounts.open.using(instance=node)(user_name="ada")
        opened.append(await accounts.is_signed_in.using(instance=node)(user_name="ada"))
    assert opened == [True, True, True]
    await demo.cli("publish", TOPIC, "user_name=ada")

    async def answers():
        signed_in = [await accounts.is_signed_in.using(instance=node)(user_name="ada") for node in nodes]
        mails = [(await accounts.show.using(instance=node)(user_name="ada"))["mails"] for node in nodes]
        return signed_in, sum(mails)

    async def are_right():
        return await answers() == ([False, False, False], 1)

    right = await comes(are_right, 5)
    signed_in, mails = await answers()
    timeline.note("heard", signed_in=signed_in, mails=mails)
    assert right


@pytest.mark.parametrize("who", ["the holder", "a guest"])
async def test_done_when_2_ps_is_right_after_a_kill(demo, timeline, who):
    """Two heartbeats at the real timers are longer than `ps` takes to start."""
    await demo.start()
    driver = await demo.driver()
    holder = hub_of(driver).holder
    victim = next(each for each in demo.hosts if (each.node_id == holder) == (who == "the holder"))
    killed = victim.kill()
    await victim.ended()
    left = {each.node_id for each in demo.hosts} - {victim.node_id}
    found = {}
    while time.monotonic() < killed + 2 * H / SCALE:
        found = await demo.nodes()
        if set(found) == left:
            break
    right = time.monotonic() - killed
    timeline.note("ps", who=who, right_after=right, nodes=found)
    assert set(found) == left
    assert right <= 2 * H / SCALE
    for each in range(6):
        await demo.cli("call", "identity.create", f"user_name=after{each}", "password=s3cret")


async def test_done_when_3_another_project_beside_it_is_another_mesh(demo, new_mesh, timeline):
    """At a place of its own it is a mesh of its own; at the same place it is refused by name."""
    await demo.start()
    other = Demo(new_mesh())
    stranger = other.spawn(9)
    await stranger.ready()
    driver = await demo.driver()
    await eventually(lambda: len(driver.node.directory.nodes) >= 4)
    assert set(await demo.nodes()) == {each.node_id for each in demo.hosts}
    assert set(await other.nodes()) == {stranger.node_id}
    for each in range(6):
        created = json.loads(await demo.cli("call", "identity.create", f"user_name=u{each}", "password=s3cret"))
        assert created["user_name"] == f"u{each}"
    assert json.loads(await other.cli("call", "identity.create", "user_name=x", "password=s3cret"))["id"] == 1
    intruder = other.mesh.run(
        "intruder", f"host.mesh={other.mesh.name}", *demo.place, "transports.tcp.port=0", "transports.http.port=0",
        file=ROOT / "vyked.toml",
    )  # fmt: skip
    code = await intruder.ended()
    said = [line for line in intruder.lines if demo.mesh.name in line]
    timeline.note("refused", code=code, said=said[:1])
    assert code == 3
    assert said


async def test_done_when_3_two_projects_that_say_nothing_don_t_meet(new_mesh, timeline, tmp_path):
    """No mesh and no place given: the default port goes to one, the other goes on, and nobody sees anybody else's nodes."""
    hosts = []
    for side in ("left", "right"):
        mesh = new_mesh()
        folder = tmp_path / mesh.name
        folder.mkdir(parents=True)
        file = folder / "vyked.toml"
        file.write_text("[transports.tcp]\nport = 0\n[transports.http]\nport = 0\n[services.identity]\n")
        hosts.append((mesh.run(side, file=file), file))
    for process, _ in hosts:
        await process.ready()
    found = []
    for process, file in hosts:
        child = await asyncio.create_subprocess_exec(
            PROGRAM, "ps", "--config", str(file), "-o", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await child.communicate()
        assert child.returncode == 0, err
        found.append(({each["node"] for each in json.loads(out)["nodes"]}, process.node_id))
    timeline.note("seen", by=found)
    assert all(nodes == {node} for nodes, node in found)
