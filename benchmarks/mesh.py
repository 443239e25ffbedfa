"""A mesh: how long until every host has seen a change, and what the heartbeats of many nodes cost the registry's holder.

The first: `hosts` hosts of `services` services each in this process, every one with its own sockets and view, on one loop, so
that one core does the work of them all. The second: a holder in a process of its own, and `nodes` nodes that do nothing but
live, at the default heartbeat.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import uvloop

from vyked_host import Service, api
from vyked_host.assembly import Host
from vyked_host.contracts import Address, Instance, NodeRecord

from . import report
from .processes import LOOPBACK, cpu_seconds, environment, free_port, memory_mib, running, script, tune_collector


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `seconds` of heartbeats."""

    hosts: int = 50
    services: int = 20
    changes: int = 40
    nodes: int = 200
    seconds: float = 60.0


class Seen(msgspec.Struct, kw_only=True):
    """Milliseconds from the change until the first, the median and the last host knew of it."""

    first_ms: float
    median_ms: float
    last_ms: float


class Kept(msgspec.Struct, kw_only=True):
    """What the holder used: per cent of one core, MiB."""

    core_percent: float
    resident_mib: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    tune_collector()
    seen = uvloop.run(_changes(settings))
    kept = uvloop.run(_heartbeats(settings))
    answer = report.Report("mesh", msgspec.to_builtins(settings), {"changes": seen, "heartbeats": kept})
    middle, worst = report.median(seen), max(each.last_ms for each in seen)
    print(answer.heading())
    print(f"a change among {settings.hosts} hosts x {settings.services} services is seen, in ms after it:")
    figures = (middle.first_ms, middle.median_ms, middle.last_ms, worst)
    print(report.table(("by the first", "median", "by all", "by all, worst"), [[f"{each:.1f}" for each in figures]]))
    print(
        f"holder with {settings.nodes} nodes: {kept.core_percent:.2f} % of a core, {kept.resident_mib:.0f} MiB, over {settings.seconds:g} s"
    )
    return answer


# ---- a change seen by all --------------------------------------------------------------------------------------------
async def _changes(settings: Settings) -> list[Seen]:
    classes = [_service(number) for number in range(settings.services)]
    async with _mesh(settings.hosts, classes) as hosts:
        record = _record(hosts[0], settings.services, 0)
        lease = await hosts[0].node.registry.announce(record)
        found = []
        for number in range(1, settings.changes + 1):
            changed = _record(hosts[0], settings.services, number)
            watching = asyncio.gather(*(_knows(host, changed) for host in hosts))
            await asyncio.sleep(0)
            began = time.perf_counter()
            await lease.update(changed)
            times = sorted((at - began) * 1000 for at in await watching)
            found.append(Seen(first_ms=times[0], median_ms=statistics.median(times), last_ms=times[-1]))
            await asyncio.sleep(0.05)  # the next one is a change of its own, not more of this one
        await lease.withdraw()
    return found


def _service(number: int) -> type:
    class Named(Service, name=f"service-{number}", version="1.0.0"):
        @api
        async def echo(self, text: str) -> str:
            return text

    return Named


def _record(host: Host, services: int, number: int) -> NodeRecord:
    instances = tuple(
        Instance(service=f"service-{each}", version=f"1.{number}.0", status="active") for each in range(services)
    )
    address = Address(transport="tcp", uri=f"tcp://{LOOPBACK}:1")
    return NodeRecord(node_id="changing", namespace=host.mesh, addresses=(address,), instances=instances)


async def _knows(host: Host, record: NodeRecord) -> float:
    directory = host.node.directory
    while directory.nodes.get(record.node_id) != record:
        await directory.change()
    return time.perf_counter()


@asynccontextmanager
async def _mesh(count: int, classes: Sequence[type]) -> AsyncIterator[list[Host]]:
    address = f"{LOOPBACK}:{free_port()}"
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(_host(address, *classes)) for _ in range(count)]
        async with asyncio.timeout(60):
            for host in hosts:
                while len(host.node.directory.nodes) < count:
                    await host.node.directory.change()
        yield hosts


def _host(address: str, *classes: type) -> Host:
    return Host(*classes, text=_text(address))


def _text(address: str) -> str:
    return (
        f'[host]\nmesh = "bench"\n[plugins]\nautoload = false\n[transports.tcp]\nport = 0\n'
        f'[registry.embedded]\naddress = "{address}"\n[pubsub.embedded]\naddress = "{address}"\n'
    )


def _file(folder: str, address: str) -> str:
    file = Path(folder, "vyked.toml")
    file.write_text(_text(address))
    return str(file)


# ---- heartbeats --------------------------------------------------------------------------------------------------------
async def _heartbeats(settings: Settings) -> Kept:
    port = free_port()
    address = f"{LOOPBACK}:{port}"
    with tempfile.TemporaryDirectory() as folder:
        argv = [script("vyked-host"), "registry", "serve", "--config", _file(folder, address)]
        with running(argv, cwd=Path(folder), env=environment()) as holder:
            holder.wait_for_port(port)
            async with AsyncExitStack() as stack:
                for _ in range(settings.nodes):
                    await stack.enter_async_context(_host(address))
                before = cpu_seconds(holder.pid)
                await asyncio.sleep(settings.seconds)
                used = cpu_seconds(holder.pid) - before
                return Kept(core_percent=used / settings.seconds * 100, resident_mib=memory_mib(holder.pid))
