"""Memory: each peer's echo server idle, after a tenth of the calls, after all of them, and at its peak; what an idle connection
costs ours; and the demo once it is ready.

The first calls fill pools and caches; what grows from the first tenth to the last is lost per call.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack

import msgspec

from vyked_host import Host

from . import report, rpc
from .echo import Case
from .peers import PEERS, ours
from .processes import LOOPBACK, memory_mib
from .startup import demo

HEADINGS = ("peer", "idle MiB", "after a tenth", "after all", "peak", "grown kB", "per 1000 calls", "client MiB")
DIAL_S = 30.0
AT_ONCE = 50


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `calls` in all against one server process for each peer, then `idle` connections to ours (0: none)."""

    peers: tuple[str, ...] = tuple(PEERS)
    calls: int = 1_000_000
    idle: int = 900  # with those before them fewer than `[limits] connections`
    in_flight: int = 64


class Resident(msgspec.Struct, kw_only=True):
    """MiB of one server: idle, after a tenth and after all of the calls, at its peak; of its client; calls between."""

    idle: float
    tenth: float
    whole: float
    peak: float
    client: float
    calls: int


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    found = {name: measure(name, settings) for name in settings.peers}
    kib = per_connection(settings.idle) if settings.idle else None
    ready = demo()
    answer = report.Report("memory", msgspec.to_builtins(settings), {"peers": found, "connection": kib, "demo": ready})
    print(answer.heading())
    print(report.table(HEADINGS, ([name, *cells(one)] for name, one in found.items())))
    if kib is not None:
        print(f"\nan idle connection, of {settings.idle}: {kib:.1f} KiB of our server")
    print(f"\ndemo (vyked.toml) once ready: {ready.resident_mib:.1f} MiB")
    return answer


def measure(name: str, settings: Settings) -> Resident:
    """One peer."""
    print(name, file=sys.stderr)
    load = rpc.Settings(peers=(name,), in_flight=settings.in_flight, sequential=100)
    tenth = max(1, settings.calls // 10)
    with rpc.serving(name) as target:
        idle = memory_mib(target.pid)
        target.load(load, calls=tenth)
        after, rest = memory_mib(target.pid), settings.calls - tenth
        measured = target.load(load, calls=rest)
        whole, peak = memory_mib(target.pid), memory_mib(target.pid, "VmHWM")
    return Resident(idle=idle, tenth=after, whole=whole, peak=peak, client=measured.client_mib, calls=rest)


def cells(one: Resident) -> Iterator[str]:
    """The row of one server, without its name."""
    grown_kb = (one.whole - one.tenth) * 1024
    for mib in (one.idle, one.tenth, one.whole, one.peak):
        yield f"{mib:.1f}"
    yield f"{grown_kb:.0f}"
    yield f"{grown_kb / one.calls * 1000:.2f}" if one.calls else "-"
    yield f"{one.client:.1f}"


def per_connection(count: int) -> float:
    """KiB that our server holds for each of `count` connections over which nothing is called."""
    with rpc.serving("vyked") as target:
        return asyncio.run(_connected(target, count))


async def _connected(target: rpc.Target, count: int) -> float:
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(ours.open_host(target.folder, target.port, Case()))
        await idle_connections(stack, host, target.port, AT_ONCE)  # pools and caches
        before = memory_mib(target.pid)
        await idle_connections(stack, host, target.port, count)
        return (memory_mib(target.pid) - before) * 1024 / count


async def idle_connections(stack: AsyncExitStack, host: Host, port: int, count: int) -> None:
    """Open `count` connections of `host`, closed with `stack`; some at a time, for a listener's backlog is finite."""
    for begun in range(0, count, AT_ONCE):
        some = range(min(AT_ONCE, count - begun))
        channels = await asyncio.gather(*(host.dial(f"tcp://{LOOPBACK}:{port}", timeout=DIAL_S) for _ in some))
        for channel in channels:
            stack.push_async_callback(channel.aclose)
