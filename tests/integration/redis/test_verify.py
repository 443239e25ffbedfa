"""What a server is not set to is found when a host starts, and told with the place in the file and the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.valkey import Valkey
from vyked_host.assembly import Host
from vyked_host.assembly.prepare import prepare
from vyked_host.errors import Away, StartError, Unfit
from vyked_host.testing.waiting import eventually

FILE = """[host]
mesh = "shop"
[transports.tcp]
port = 0
[registry]
use = "redis"
[registry.redis]
url = "{url}"
[timing]
scale = 0.2
[pubsub]
use = "{bus}"
"""
ALONE = '[pubsub.embedded]\naddress = "none"\n'
STREAMS = """[pubsub.redis-streams]
url = "{url}"
durability = "disk"
"""


@pytest.fixture
def new_server():
    made = []

    def start(*settings):
        made.append(Valkey(*settings).start())
        return made[-1]

    yield start
    for each in made:
        each.close()


def written(folder, url, bus="embedded", more=ALONE):
    file = Path(folder, "vyked.toml")
    file.write_text(FILE.format(url=url, bus=bus) + more.format(url=url))
    return str(file)


async def refused(file: str) -> StartError:
    with pytest.raises(StartError) as caught:
        await Host(file).start()
    return caught.value


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_registry_in_a_server_that_throws_keys_away_is_refused(new_server, tmp_path, policy):
    server = new_server("maxmemory 100mb", f"maxmemory-policy {policy}")
    file = written(tmp_path, server.url)
    error = await refused(file)
    assert isinstance(error, Unfit)
    assert str(error).startswith(f"{file}:8:7  the registry 'redis' can't be used")
    assert policy in str(error)
    assert str(error).endswith("; CONFIG SET maxmemory-policy noeviction")


async def test_a_server_without_a_bound_never_throws_anything_away(new_server, tmp_path):
    server = new_server("maxmemory-policy allkeys-lru")
    async with Host(written(tmp_path, server.url)) as host:
        assert host.node.phase == "serving"


async def test_events_that_have_to_be_on_disk_need_a_server_that_logs(new_server, tmp_path):
    server = new_server()
    file = written(tmp_path, server.url, "redis-streams", STREAMS)
    error = await refused(file)
    assert str(error).startswith(f"{file}:15:14  events have to be on disk")
    assert "appendonly yes" in error.remedy
    durable = new_server("appendonly yes")
    async with Host(written(tmp_path, durable.url, "redis-streams", STREAMS)) as host:
        assert host.node.phase == "serving"


def test_the_command_line_shows_the_line_and_ends_with_3(new_server, tmp_path):
    file = written(tmp_path, new_server().url, "redis-streams", STREAMS)
    command = [str(Path(sys.executable).with_name("vyked-host")), "run", file]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert told.returncode == 3
    assert f"{file}:15:14  error  events have to be on disk" in told.stderr
    assert '15 │ durability = "disk"' in told.stderr
    assert "Traceback" not in told.stderr


async def test_a_registry_that_is_away_says_what_to_do(new_server, tmp_path):
    server = new_server()
    server.kill()
    error = await refused(written(tmp_path, server.url))
    assert isinstance(error, Away)
    assert "[registry.redis] url" in str(error)


async def test_one_that_does_not_let_us_in_is_no_server_that_is_away(new_server, tmp_path):
    server = new_server("requirepass other")
    error = await refused(written(tmp_path, server.url.replace("unix://", "unix://:s3cr3t-word@")))
    assert not isinstance(error, Away)
    assert "refused the user or password of [registry.redis] url" in str(error)
    assert "; correct user and password in [registry.redis] url, or what the server lets this user do, or" in str(error)
    assert "start the server" not in str(error)
    assert "s3cr3t-word" not in str(error)


async def test_R1_a_host_that_starts_while_the_registry_is_away_begins_with_the_nodes_known_last(new_server, tmp_path):
    server = new_server()
    file = written(tmp_path, server.url)
    async with Host(file, overrides=["host.name=stays"]) as stays:
        async with Host(file, overrides=["host.name=first"]) as first:
            await eventually(lambda: len(first.node.directory.nodes) == 2)
            await eventually(lambda: any(Path(tmp_path).rglob("shop.nodes")))
        server.kill()
        async with Host.of(prepare(file, overrides=["host.name=late"])) as late:
            assert stays.node.record.node_id in late.node.directory.nodes
            server.start()
            await eventually(lambda: late.node.record.node_id in stays.node.directory.nodes, 10)


def at_two(folder, table, url, other):
    """A file whose `table` has the other server, and the line of that; the rest has the first one."""
    urls = {"registry.redis": url, "pubsub.redis-streams": url, table: other}
    streams = STREAMS.format(url=urls["pubsub.redis-streams"]).replace("disk", "process")
    text = FILE.format(url=urls["registry.redis"], bus="redis-streams") + streams
    file = Path(folder, "vyked.toml")
    file.write_text(text)
    return str(file), text.splitlines().index(f"[{table}]") + 2


@pytest.mark.parametrize("table", ["registry.redis", "pubsub.redis-streams"])
async def test_a_replica_that_takes_no_writes_is_refused_and_names_its_master(tmp_path, new_server, table):
    """Streams and registry write; else the host fails later, with an answer to a command in the place of a remedy."""
    port = free_port()
    master = new_server(f"port {port}", "bind 127.0.0.1")
    copy = new_server(f"replicaof 127.0.0.1 {port}")
    file, line = at_two(tmp_path, table, master.url, copy.url)
    found = await refused(file)
    assert isinstance(found, Unfit)
    assert found.exit_code == 3
    assert f"is a read-only replica of 127.0.0.1:{port}; write the address of that one" in str(found)
    assert str(found).startswith(f"{file}:{line}:7"), str(found)
