"""A host dies by SIGKILL while others call it: rows 8, 11 and 12 of the defects of Vyked 2.x, rows S1 and S9 of the faults."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from vyked_host import Host, Unavailable
from vyked_host.testing import eventually

SERVICE = """
import asyncio, os
from vyked_host import Service, api

class Worker(Service, name="worker", version="1.0.0"):
    @api
    async def pid(self) -> int:
        return os.getpid()

    @api
    async def hang(self) -> None:
        await asyncio.Event().wait()
"""


@asynccontextmanager
async def worker(folder: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    (folder / "work.py").write_text(SERVICE)
    file = folder / f"{port}.toml"
    file.write_text(
        f'[host]\nmesh = "lost"\n[plugins]\nautoload = false\n[transports.tcp]\nport = {port}\n'
        '[services.worker]\nuse = "work:Worker"\n'
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vyked_host", "run", str(file), stderr=asyncio.subprocess.PIPE, cwd=folder
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            while b"ready in" not in (line := await process.stderr.readline()):
                assert line, "it ended before it was ready"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def callers(*ports: int, balancer: str = "round_robin") -> Host:
    nodes = ", ".join(f'"tcp://127.0.0.1:{port}"' for port in ports)
    return Host(
        text='[host]\nmesh = "lost"\n[plugins]\nautoload = false\n[transports.local]\n'
        f'[clients.default]\nbalancer = "{balancer}"\n'
        f'[registry]\nuse = "static"\n[registry.static]\nnodes = [{nodes}]\n'
    )


async def test_11_calls_in_flight_fail_at_once_and_12_the_next_ones_reach_the_new_process(tmp_path: Path) -> None:
    port = free_port()
    async with worker(tmp_path, port) as first, callers(port) as host:
        client = host.client("worker")
        before = await client.pid()
        assert before == first.pid
        hanging = [asyncio.ensure_future(client.hang()) for _ in range(20)]
        await eventually(lambda: len(host.node.clients[0].pending) == 20)
        os.kill(first.pid, signal.SIGKILL)
        outcomes = await asyncio.wait_for(asyncio.gather(*hanging, return_exceptions=True), 1.0)
        assert {type(each) for each in outcomes} == {Unavailable}
        assert {each.executed for each in outcomes if isinstance(each, Unavailable)} == {"unknown"}
        assert not len(host.node.clients[0].pending)
        with pytest.raises(Unavailable) as caught:
            await client.pid()
        assert caught.value.executed == "not_sent"
        async with worker(tmp_path, port) as second:
            await eventually(lambda: len(host.node.directory.nodes) == 2, within=15)
            assert await client.pid() == second.pid


async def test_8_an_entity_stays_at_its_instance_and_moves_when_that_dies(tmp_path: Path) -> None:
    one, two = free_port(), free_port()
    async with worker(tmp_path, one) as a, worker(tmp_path, two) as b, callers(one, two, balancer="hash") as host:
        pid = host.client("worker").pid
        homes = {f"user-{n}": await pid.using(entity=f"user-{n}")() for n in range(40)}
        assert set(homes.values()) == {a.pid, b.pid}
        assert all([await pid.using(entity=entity)() == home for entity, home in homes.items()])
        os.kill(a.pid, signal.SIGKILL)
        await eventually(lambda: len(host.node.directory.nodes) == 2)
        for entity in homes:
            assert await pid.using(entity=entity)() == b.pid


async def test_calls_spread_over_instances(tmp_path: Path) -> None:
    one, two = free_port(), free_port()
    async with worker(tmp_path, one) as a, worker(tmp_path, two) as b, callers(one, two) as host:
        found = [await host.client("worker").pid() for _ in range(40)]
        assert found.count(a.pid) == found.count(b.pid) == 20


async def test_a_graceful_stop_fails_no_call(tmp_path: Path) -> None:
    one, two = free_port(), free_port()
    async with worker(tmp_path, one) as a, worker(tmp_path, two) as b, callers(one, two) as host:
        client = host.client("worker")
        stop = asyncio.Event()
        seen: list[int] = []

        async def load() -> None:
            while not stop.is_set():
                seen.append(await client.pid())

        load_tasks = [asyncio.ensure_future(load()) for _ in range(8)]
        await eventually(lambda: len(seen) > 200)
        a.terminate()
        assert await asyncio.wait_for(a.wait(), 15) == 0
        after = len(seen)
        await eventually(lambda: len(seen) > after + 100)
        stop.set()
        await asyncio.gather(*load_tasks)
        assert set(seen[-50:]) == {b.pid}
