"""Small calls beside something big: their p99 while 16 MiB are streamed over the same connection, and while a handler runs
for ten seconds and 1,000 connections stand idle; each beside the same calls alone.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import uvloop

from vyked_host import Host, Service, api

from . import report
from .echo import ROW, Case, Row
from .load import one_by_one
from .memory import idle_connections
from .peers import ours
from .processes import apart, environment, free_port, running, script, tune_collector

CHUNK = b"x" * 65536
CONNECTIONS = "beside {idle} idle connections and a handler of {held:g} s"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `held` seconds of the long handler, `idle` connections beside it, `mib` streamed again and again."""

    rounds: int = 3
    calls: int = 3000
    mib: int = 16
    held: float = 10.0
    idle: int = 1000


class Beside(Service, name="beside", version="1.0.0"):
    """What is called, and what runs beside."""

    @api
    async def row(self, row: Row) -> Row:
        """`row` again."""
        return row

    @api
    async def stream(self, chunks: int) -> AsyncIterator[bytes]:
        """So many chunks of 64 KiB."""
        for _ in range(chunks):
            yield CHUNK

    @api(timeout=600)
    async def hold(self, seconds: float) -> None:
        """Answers after so long."""
        await asyncio.sleep(seconds)


class Late(msgspec.Struct, kw_only=True):
    """The p99 of small calls in microseconds: alone, beside a stream, beside a long handler and idle connections."""

    alone_us: float
    stream_us: float
    idle_us: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    rounds = []
    for number in range(1, settings.rounds + 1):
        print(f"round {number} of {settings.rounds}", file=sys.stderr)
        with _serving() as (folder, port, pid):
            words = [msgspec.json.encode(settings).decode(), str(folder), str(port), str(pid)]
            argv = [sys.executable, "-m", "benchmarks.fairness", *words]
            done = subprocess.run(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
            rounds.append(msgspec.json.decode(done.stdout, type=Late))
    found = report.Report("fairness", msgspec.to_builtins(settings), {"p99": rounds})
    middle = report.median(rounds)
    print(found.heading())
    beside = CONNECTIONS.format(idle=settings.idle, held=settings.held)
    cases = [
        ("alone", middle.alone_us),
        (f"beside a stream of {settings.mib} MiB", middle.stream_us),
        (beside, middle.idle_us),
    ]
    rows = [(label, f"{us:.0f}", f"{us / middle.alone_us:.2f}") for label, us in cases]
    print(report.table(("p99 of small calls, one by one", "us", "x alone"), rows))
    return found


@contextmanager
def _serving() -> Iterator[tuple[Path, int, int]]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        ours.server(folder, port, Case())
        file = folder / "vyked.toml"
        file.write_text(
            file.read_text() + '\n[services.beside]\nuse = "benchmarks.fairness:Beside"\n[limits]\nconnections = 4096\n'
        )
        with running([script("vyked-host"), "run", str(file)], cwd=folder, env=environment()) as server:
            server.wait_for_port(port)
            yield folder, port, server.pid


# ---- the client's process ----------------------------------------------------------------------------------------------
async def _measured(settings: Settings, folder: Path, port: int, server: int) -> Late:
    async with ours.open_host(folder, port, Case()) as host:
        client = host.client(Beside)
        await client.row(ROW)
        tune_collector()
        with apart(server):
            await one_by_one(client.row, ROW, min(500, settings.calls))
            alone = await _p99(client, settings)
            async with _streaming(client, settings.mib * 16):
                beside_stream = await _p99(client, settings)
            async with _held(host, port, client, settings):
                beside_idle = await _p99(client, settings)
    return Late(alone_us=alone, stream_us=beside_stream, idle_us=beside_idle)


async def _p99(client: Beside, settings: Settings) -> float:
    taken = await one_by_one(client.row, ROW, settings.calls)
    return statistics.quantiles(taken, n=100)[98] * 1e6


@asynccontextmanager
async def _streaming(client: Beside, chunks: int) -> AsyncIterator[None]:
    """A stream over the connection of the small calls, begun again when it ends."""
    flows = asyncio.Event()

    async def stream() -> None:
        while True:
            async for _ in client.stream(chunks):
                flows.set()

    running = asyncio.create_task(stream())
    waiting = asyncio.create_task(flows.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
        if running.done():
            running.result()
    finally:
        running.cancel()
        waiting.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)


@asynccontextmanager
async def _held(host: Host, port: int, client: Beside, settings: Settings) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await idle_connections(stack, host, port, settings.idle)
        long = asyncio.create_task(client.hold.using(timeout=600.0)(settings.held))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            long.cancel()
            await asyncio.gather(long, return_exceptions=True)


def main() -> None:
    """The client: settings as JSON, folder, port and process of the server."""
    settings, folder, port, server = sys.argv[1:]
    late = uvloop.run(_measured(msgspec.json.decode(settings, type=Settings), Path(folder), int(port), int(server)))
    print(json.dumps(msgspec.to_builtins(late)))


if __name__ == "__main__":
    main()
