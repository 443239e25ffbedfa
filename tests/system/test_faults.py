"""Faults of the process and its machine: tasks left behind, no more file descriptors, a port that is taken."""

import json
import os
import resource
import select
import socket
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.integration.tcp.tiny_client import TinyClient

from .program import command

LEAKY = """
import asyncio
from vyked_host import Service, api


async def forever():
    await asyncio.Event().wait()


class Leaky(Service, name="leaky", version="1.0.0"):
    @api
    async def leak(self) -> None:
        self.kept = asyncio.create_task(forever(), name="refresh the cache")

    async def on_start(self):
        self.stubborn = None

    @api
    async def cling(self) -> None:
        async def clinging():
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass

        self.stubborn = asyncio.create_task(clinging(), name="never gives up")
"""


def call(host, *words):
    where = ("--address", host.address(0), "--mesh", host.facts["mesh"])
    return command("call", *words, *where, folder=Path(__file__).parent)  # there is no vyked.toml


# ---- H4: tasks that somebody left behind -----------------------------------------------------------------------------
@pytest.fixture
def leaky(launch, tmp_path):
    (tmp_path / "leaky.py").write_text(LEAKY)
    return launch("leaky:Leaky", "--set", "transports.tcp.port=0", folder=tmp_path).ready()


def test_h4_a_leaked_task_is_named_and_cancelled_at_the_end(leaky):
    assert call(leaky, "leaky.leak")[0] == 0
    assert leaky.stop() == 0
    told = json.loads(leaky.said("tasks that nobody ended"))
    assert told["message"] == "tasks that nobody ended: refresh the cache"
    assert "was destroyed" not in leaky.words


def test_h4_a_task_that_refuses_to_end_does_not_keep_the_process(leaky):
    assert call(leaky, "leaky.cling")[0] == 0
    assert leaky.stop() == 1
    assert "never gives up" in leaky.said("tasks that nobody ended")
    assert "never gives up" in leaky.said("would not be cancelled")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_h4_a_host_that_leaks_nothing_names_nothing(start, folder, loop):
    host = start("--set", f"host.loop={loop}", folder=folder).ready()
    assert call(host, "slow.echo", "text=hi")[0] == 0
    assert host.stop() == 0
    assert "nobody ended" not in host.words


# ---- K2: no more file descriptors ------------------------------------------------------------------------------------
def where(host):
    scheme, _, place = host.address(0).partition("://")
    name, _, port = place.rpartition(":")
    return scheme, name, int(port)


class Link:
    """One connection that is kept, over whichever transport is served."""

    def __init__(self, host):
        self.scheme, name, port = where(host)
        if self.scheme == "tcp":
            self.tcp = TinyClient(name, port, host.facts["mesh"])
        else:
            self.http = HTTPConnection(name, port, timeout=10)

    def echo(self, text):
        if self.scheme == "tcp":
            return self.tcp.call("slow", "echo", {"text": text})
        body = json.dumps({"text": text})
        self.http.request("POST", "/-/call/slow/echo", body, {"Content-Type": "application/json"})
        return json.loads(self.http.getresponse().read())

    def close(self):
        (self.tcp if self.scheme == "tcp" else self.http).close()


def cpu_s(pid):
    """Seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exhaust(pid):
    """Let a process open no further file; gives what restores it."""
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    lowest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1
    holes = lowest - len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, usual[1]))
    return holes, lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_k2_without_file_descriptors_it_idles_serves_its_links_and_recovers(start, folder, loop):
    host = start("--set", f"host.loop={loop}", folder=folder).ready()
    pid, (_, name, port) = host.process.pid, where(host)
    with closing(Link(host)) as link:
        assert link.echo("before") == "before"
        holes, restore = exhaust(pid)
        with ExitStack() as waiting:
            for _ in range(holes + 20):
                waiting.enter_context(socket.create_connection((name, port), timeout=5))
            began, used = time.monotonic(), cpu_s(pid)
            while (left := began + 2 - time.monotonic()) > 0:
                assert link.echo("during") == "during"
                select.select([], [], [], min(left, 0.2))
            assert cpu_s(pid) - used < 1.0, "it may use half of the two seconds"
        assert len(host.lines) < 20, host.words
        assert loop != "asyncio" or "ulimit" in host.said("new connections have to wait")
        restore()
        began = time.monotonic()
        with closing(Link(host)) as again:
            assert again.echo("after") == "after"
        assert time.monotonic() - began < 3
        assert link.echo("still") == "still"
    assert host.stop() == 0


# ---- F3: a port that is taken ----------------------------------------------------------------------------------------
WATCHED = """
from vyked_host import Service, api


class Watched(Service, name="watched", version="1.0.0"):
    async def on_active(self) -> None:
        self.log.info("it was announced")

    @api
    async def hello(self) -> str:
        return "hello"
"""


@pytest.mark.parametrize("busy", ["tcp", "http"])
def test_f3_one_port_in_use_is_exit_3_and_nothing_is_announced(launch, tmp_path, busy):
    (tmp_path / "watched.py").write_text(WATCHED)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        ports = dict.fromkeys(("tcp", "http"), free.getsockname()[1]) | {busy: taken.getsockname()[1]}
        free.close()
        sets = [word for name, port in ports.items() for word in ("--set", f"transports.{name}.port={port}")]
        host = launch("watched:Watched", *sets, folder=tmp_path)
        assert host.ends() == 3
    assert f"127.0.0.1:{ports[busy]}" in host.words
    assert "announced" not in host.words
    assert "ready in" not in host.words
    assert "Traceback" not in host.words
