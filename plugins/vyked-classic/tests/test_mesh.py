"""Old processes beside new nodes: a modern host receives them, and both call each other and hear each other's events."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Process, free_port, old_service

from vyked_host import Host, Service, StartError, Unavailable, api, client, publish, subscribe, xsubscribe
from vyked_host.testing import eventually

MESH = """
[host]
mesh = "m"
[plugins]
autoload = false
[registry]
use = "embedded"
[registry.embedded]
address = "none"
[clients.default]
warm_up = 0
[transports.local]
[transports.classic]
port = 0
registry = "127.0.0.1:{port}"
redis = "{redis}"
[timing]
scale = 0.2
dial = 5
pong = 5
"""


class Shop(Service, name="shop", version="1.2.0"):
    """Modern: typed, async."""

    echo = client("echo", version="1", required=False)

    def __init__(self):
        self.heard, self.once = [], []

    @api
    async def price(self, item: str, count: int = 1) -> dict[str, int]:
        if count < 1:
            raise ValueError("private")
        return {item: 5 * count}

    @publish
    def sold(self, item: str) -> dict[str, str]:
        return {"item": item}

    @subscribe("echo.ticked", version="1")
    async def every(self, event: dict) -> None:
        self.heard.append(event["n"])

    @xsubscribe("echo.ticked", version="1")
    async def one(self, event: dict) -> None:
        self.once.append(event["n"])


@pytest.fixture
async def mesh(redis):
    port = free_port()
    shop = Shop()
    async with Host(shop, text=MESH.format(port=port, redis=redis.url)) as host:
        host.shop, host.at = shop, {"registry": f"127.0.0.1:{port}", "redis": redis.at}
        yield host


async def waits(process, **fields):
    return await asyncio.to_thread(lambda: process.said(**fields))


async def call(process, service, version, endpoint, payload):
    return await asyncio.to_thread(process.call, service, version, endpoint, payload)


async def published(host, process, n, event="ticked"):
    since = len(process.facts)
    process.tell(do="publish", event=event, payload={"n": n})
    await asyncio.to_thread(lambda: process.said(published=event, since=since))


async def tried(publish, heard):
    """Publish an event again and again until one is heard; its number. Nobody tells when all who are to hear it listen."""
    for n in range(1, 100):
        await publish(n)
        with contextlib.suppress(AssertionError):
            await eventually(lambda n=n: heard(n), within=0.3)
            return n
    raise AssertionError("no event is heard")


async def test_an_old_consumer_calls_a_modern_service(mesh, running):
    old = running(old_service("bench", needs=[["shop", "1"]], **mesh.at))
    await waits(old, connected=...)
    assert (await call(old, "shop", "1", "price", {"item": "tea", "count": 2}))["result"] == {"tea": 10}
    refused = await call(old, "shop", "1", "price", {"item": "tea", "count": "two"})
    assert (refused["failed"], refused["code"]) == (True, "INVALID_ARGUMENT")
    assert "count" in refused["error"]
    failed = await call(old, "shop", "1", "price", {"item": "tea", "count": 0})
    assert "private" not in failed["error"], "what a modern service does not declare stays on its side"


async def test_an_old_consumer_waits_for_a_modern_service_of_another_host(mesh, running):
    old = running(old_service("bench", needs=[["shop", "1"], ["nowhere", "1"]], **mesh.at))
    await waits(old, up=...)
    await eventually(
        lambda: any(
            each.instances[0].status == "waiting"
            for each in mesh.node.directory.nodes.values()
            if each.labels.get("vyked")
        )
    )
    assert not [fact for fact in old.facts if "registered" in fact]


async def test_a_modern_client_calls_an_old_service_and_hears_when_it_is_gone(mesh, running):
    old = running(old_service("echo", **mesh.at))
    await waits(old, up=...)
    echo = mesh.client("echo", version="1")
    await eventually(
        lambda: any(
            each.instances and each.instances[0].service == "echo" for each in mesh.node.directory.nodes.values()
        )
    )
    assert await echo.echo(data={"a": [-5, "é"]}) == {"a": [-5, "é"]}
    with pytest.raises(Exception, match="boom 1"):
        await echo.boom(data=1)
    with pytest.raises(Exception, match="time limit"):
        await echo.slow(seconds=5)
    old.close()
    await eventually(
        lambda: (
            not any(
                each.instances and each.instances[0].service == "echo" for each in mesh.node.directory.nodes.values()
            )
        )
    )
    with pytest.raises(Unavailable):
        await echo.echo(data=1)


async def test_a_hung_old_service_is_taken_out_and_one_that_only_lost_its_connection_is_not(mesh, running):
    old = running(old_service("echo", ping_s=30.0, **mesh.at))
    node = (await waits(old, up=...))["up"]
    await eventually(lambda: node in mesh.node.directory.nodes)
    for _ in range(2):  # silent for longer than a lease, but its port answers
        await waits(old, pinged=node, since=len(old.facts))
    assert node in mesh.node.directory.nodes
    old.process.send_signal(signal.SIGSTOP)
    await eventually(lambda: node not in mesh.node.directory.nodes, within=30)
    old.process.send_signal(signal.SIGCONT)


async def test_events_of_old_services_reach_modern_ones_once(mesh, running):
    old = running(old_service("echo", **mesh.at))
    await waits(old, up=...)
    await eventually(lambda: any(each.labels.get("vyked") for each in mesh.node.directory.nodes.values()))
    n = await tried(lambda n: published(mesh, old, n), lambda n: mesh.shop.heard)
    for last in range(n + 1, n + 4):
        await published(mesh, old, last)
    await eventually(lambda: mesh.shop.heard[-1:] == [last] and last in mesh.shop.once)
    assert sorted(set(mesh.shop.heard)) == mesh.shop.heard
    assert sorted(set(mesh.shop.once)) == sorted(mesh.shop.once)


async def test_events_of_modern_services_reach_old_ones_once_and_one_of_a_group(mesh, running):
    events = {"subscribe": [["shop", "1", "sold"]], "xsubscribe": [["shop", "1", "sold", "LEADER"]]}
    olds = [running(old_service("bench", needs=[["shop", "1"]], **events, **mesh.at)) for _ in range(2)]
    for each in olds:
        await waits(each, connected=...)

    def heard(how, item):
        return [
            fact for old in olds for fact in old.facts if fact.get("how") == how and fact["payload"] == {"item": item}
        ]

    n = await tried(
        lambda n: mesh.shop.sold(item=str(n)),
        lambda n: len(heard("subscribe", str(n))) == 2 and heard("xsubscribe", str(n)),
    )
    for last in range(n + 1, n + 4):
        await mesh.shop.sold(item=str(last))
    await eventually(lambda: len(heard("subscribe", str(last))) == 2 and heard("xsubscribe", str(last)))
    for each in range(n + 1, last + 1):
        assert (len(heard("subscribe", str(each))), len(heard("xsubscribe", str(each)))) == (2, 1)


class Ticking(Service, name="echo", version="1.4.0"):
    @publish
    def ticked(self, n: int, who: str) -> dict[str, int | str]:
        return {"n": n, "who": who}


@pytest.mark.parametrize("beside", [[], ["1"], ["1.2"]])
async def test_events_of_modern_services_reach_processes_that_have_moved_to_the_shim(running, redis, beside):
    """They listen for all versions by pattern, which Redis tells nobody of. Old ones listen beside them, or none."""
    port, ticking = free_port(), Ticking()
    async with Host(ticking, text=MESH.format(port=port, redis=redis.url)):
        at = {"registry": f"127.0.0.1:{port}", "redis": redis.at}
        for version in beside:
            old = running(old_service("old", needs=[["echo", version]], subscribe=[["echo", version, "ticked"]], **at))
            await waits(old, subscribed=...)
        ports = (str(free_port()), str(port), str(redis.port))
        moved = running(Process("-m", "vyked", "old_code/bench.py", *ports, "bench", "echo"))
        await waits(moved, active=True)

        def heard(how, n):
            return [fact for fact in moved.facts if fact.get("how") == how and fact["payload"]["n"] == n]

        n = await tried(
            lambda n: ticking.ticked(n, "ada"), lambda n: heard("subscribe", n) and heard("xsubscribe", n)
        )  # fmt: skip
        for last in range(n + 1, n + 4):
            await ticking.ticked(last, "ada")
        await eventually(lambda: heard("subscribe", last) and heard("xsubscribe", last))
        for each in range(n + 1, last + 1):
            assert (len(heard("subscribe", each)), len(heard("xsubscribe", each))) == (1, 1)


async def test_an_event_for_one_of_old_and_new_instances_of_a_service_is_handled_once(mesh, running):
    """`shop` has an old instance beside the new one: both are of the group that gets echo.ticked."""
    echo = running(old_service("echo", **mesh.at))
    old = running(old_service("shop", version="1", xsubscribe=[["echo", "1", "ticked", "RANDOM"]], **mesh.at))
    await waits(old, up=...)
    await waits(old, subscribed=...)
    n = await tried(lambda n: published(mesh, echo, n), lambda n: mesh.shop.once)
    first = n + 1
    for n in range(first, first + 10):
        await published(mesh, echo, n)

    def handled():
        there = [fact["payload"]["n"] for fact in old.facts if fact.get("how") == "xsubscribe"]
        return sorted(each for each in (*there, *mesh.shop.once) if each >= first)

    await eventually(lambda: len(handled()) >= n + 1 - first)
    assert handled() == list(range(first, n + 1)), (mesh.shop.once, old.facts)


async def test_where_the_hosts_of_the_mesh_meet_old_processes_can_t_register(redis):
    """Both want port 4500 where nothing else is said."""
    port = free_port()
    text = MESH.format(port=port, redis=redis.url).replace('address = "none"', f'address = "127.0.0.1:{port}"')
    with pytest.raises(StartError, match=rf"127\.0\.0\.1:{port} is in use.*\[registry.embedded\] address"):
        async with Host(Shop(), text=text):
            pass


async def test_restart_of_the_receiving_host_old_processes_come_back(redis, running):
    port = free_port()
    text = MESH.format(port=port, redis=redis.url)
    old = running(old_service("echo", registry=f"127.0.0.1:{port}", redis=redis.at, pong_s=1.0))
    for _ in range(2):
        async with Host(Shop(), text=text) as host:
            await eventually(
                lambda: any(each.labels.get("vyked") for each in host.node.directory.nodes.values()), within=20
            )
            assert await host.client("echo", version="1").echo(data=1) == 1
    assert json.dumps(old.facts)


def test_who_can_be_asked_over_the_old_wire_only_is_told_what_is_missing(tmp_path):
    """Nobody runs, and nothing of the file says where to ask one by itself."""
    file = tmp_path / "vyked.toml"
    file.write_text(
        f'[host]\nmesh = "m"\n[registry.embedded]\naddress = "127.0.0.1:{free_port()}"\n[transports.classic]\nport = 4600\n'
    )
    words = [str(Path(sys.executable).with_name("vyked-host")), "ps", "--config", str(file)]
    asked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 3
    assert "over [transports.classic] no host can be asked by itself" in asked.stderr
    assert "give it [transports.tcp] or [transports.http] as well" in asked.stderr
