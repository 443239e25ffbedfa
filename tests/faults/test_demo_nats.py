"""The demo on a NATS server, three times, seen from its command line: what works on a good day, and what it says on a bad one."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib

import pytest

from tests.nats import jetstream

from .load import comes
from .test_demo_thrice import ROOT, TOPIC, WITHIN_S, Demo

MAY_DIFFER = ("registry", "pubsub", "security")


class OnNats(Demo):
    """Hosts of vyked.nats.toml."""

    file = ROOT / "vyked.nats.toml"
    meeting = ()

    def __init__(self, mesh, server):
        super().__init__(mesh)
        self.url = server.url
        self.environ = {**os.environ, "NATS_URL": self.url}
        mesh.environ["NATS_URL"] = self.url

    @property
    def place(self):
        return [f"registry.nats.url={self.url}", f"pubsub.nats-jetstream.url={self.url}"]


@pytest.fixture
def server():
    server = jetstream()
    yield server
    server.close()


@pytest.fixture
async def demo(server, mesh):
    return await OnNats(mesh, server).start()


def test_done_when_1_the_files_differ_in_nothing_else():
    plain, nats = (
        tomllib.loads((ROOT / name).read_text(encoding="utf-8")) for name in ("vyked.toml", "vyked.nats.toml")
    )
    for table in MAY_DIFFER:
        plain.pop(table, None), nats.pop(table, None)
    assert nats == plain


async def test_done_when_1_three_hosts_of_the_demo_are_one_mesh_on_nats(demo, timeline):
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


async def test_done_when_1_every_accounts_hears_and_one_mails_on_nats(demo, timeline):
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
    assert json.loads(await demo.cli("dlq", "list", "-o", "json")) == []


async def test_a_server_that_is_not_there_is_exit_3_with_words(mesh, server):
    server.kill()
    host = OnNats(mesh, server).spawn(9)
    await asyncio.wait_for(host.ended(), WITHIN_S)
    assert await host.ended() == 3
    assert "start the server" in host.log
    assert "Traceback" not in host.log
