"""Five times the calls that a server gets done: goodput beside its peak, how long accepted calls and refusals take, and how soon it is
over. No limit is configured. Once where calls wait for ten workers, once where handlers compute on the loop.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from vyked_host import Host, Overloaded, Service, api

from . import report
from .echo import Case
from .peers import ours
from .processes import environment, free_port, running, script

WORKERS, WAIT_S, COMPUTE_S = 10, 0.05, 0.005
CAPACITY = {"wait": WORKERS / WAIT_S, "compute": 1 / COMPUTE_S}
"""Calls a second, if nothing else took any time."""
SUDDEN_S = 1.0
"""What was let in before the limit was found is done first: the p99 is of the calls that came later."""
HEADINGS = ("handlers", "goodput, of peak", "p99 ms: calm", "flood", "refusals", "over after s")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` of flood, at so many `times` the peak, in each of `rounds`."""

    rounds: int = 3
    seconds: float = 8.0
    times: float = 5.0


class Shed(msgspec.Struct, kw_only=True):
    """Of one kind of handler: shares, milliseconds, seconds."""

    goodput: float
    calm_ms: float
    flood_ms: float
    refusal_ms: float
    over_s: float


class Busy(Service, name="busy", version="1.0.0"):
    """What is flooded."""

    def __init__(self) -> None:
        self.workers = asyncio.Semaphore(WORKERS)

    @api
    async def wait(self) -> None:
        """Waits for a worker, then for its work."""
        async with self.workers:
            await asyncio.sleep(WAIT_S)

    @api
    async def compute(self) -> None:
        """Holds the loop."""
        until = time.perf_counter() + COMPUTE_S
        while time.perf_counter() < until:
            pass


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    rounds: dict[str, list[Shed]] = {kind: [] for kind in CAPACITY}
    for number in range(1, settings.rounds + 1):
        print(f"round {number} of {settings.rounds}", file=sys.stderr)
        for kind, taken in rounds.items():
            taken.append(_round(settings, kind))
    found = report.Report("overload", msgspec.to_builtins(settings), rounds)
    print(found.heading())
    print(report.table(HEADINGS, [(kind, *_cells(report.median(taken))) for kind, taken in rounds.items()]))
    return found


def _cells(shed: Shed) -> tuple[str, ...]:
    figures = (shed.calm_ms, shed.flood_ms, shed.refusal_ms)
    return (f"{shed.goodput:.2f}", *(f"{each:.0f}" for each in figures), f"{shed.over_s:.1f}")


def _round(settings: Settings, kind: str) -> Shed:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        ours.server(folder, port, Case())
        file = folder / "vyked.toml"
        file.write_text(
            file.read_text() + '\n[limits]\nadaptive = true\n[services.busy]\nuse = "benchmarks.overload:Busy"\n'
        )
        with running([script("vyked-host"), "run", str(file)], cwd=folder, env=environment()) as server:
            server.wait_for_port(port)
            words = [msgspec.json.encode(settings).decode(), str(folder), str(port), kind]
            argv = [sys.executable, "-m", "benchmarks.overload", *words]
            done = subprocess.run(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Shed)


# ---- the client's process ----------------------------------------------------------------------------------------------
class Flood:
    """Calls at a rate, whatever becomes of those before: (when it came, seconds it took) of each."""

    def __init__(self, call: Callable[[], Awaitable[None]]) -> None:
        self._call = call
        self.accepted: list[tuple[float, float]] = []
        self.refused: list[tuple[float, float]] = []

    async def run(self, rate: float, seconds: float) -> Flood:
        """Until the last one has ended."""
        began, sent, under_way = time.monotonic(), 0, list[asyncio.Task[None]]()
        while (now := time.monotonic()) < began + seconds:
            under_way += [asyncio.create_task(self._one()) for _ in range(int((now - began) * rate) - sent)]
            sent = len(under_way)
            await asyncio.sleep(0.002)
        await asyncio.gather(*under_way)
        return self

    async def _one(self) -> None:
        came = time.monotonic()
        try:
            await self._call()
        except Overloaded:
            self.refused.append((came, time.monotonic() - came))
        else:
            self.accepted.append((came, time.monotonic() - came))


async def _peak(call: Callable[[], Awaitable[None]], seconds: float) -> float:
    """Calls a second with as many under way as there are workers."""
    until, done = time.monotonic() + seconds, 0

    async def caller() -> None:
        nonlocal done
        while time.monotonic() < until:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(WORKERS)))
    return done / seconds


def _p99_ms(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98] * 1e3 if len(taken) > 1 else 0.0


async def _measured(settings: Settings, folder: Path, port: int, kind: str) -> Shed:
    async with ours.open_host(folder, port, Case()) as host:
        call = _call(host, kind)
        peak = await _peak(call, 2.0)
        calm = await Flood(call).run(0.5 * peak, 2.0)
        began = time.monotonic()
        flood = await Flood(call).run(settings.times * peak, settings.seconds)
        ended = began + settings.seconds
        after = await Flood(call).run(0.5 * peak, 5.0)
    late = [took for came, took in flood.accepted if came >= began + SUDDEN_S]
    done = sum(began + SUDDEN_S <= came + took < ended for came, took in flood.accepted)
    return Shed(
        goodput=done / (settings.seconds - SUDDEN_S) / peak,
        calm_ms=_p99_ms([took for _, took in calm.accepted]), flood_ms=_p99_ms(late),
        refusal_ms=_p99_ms([took for _, took in flood.refused]),
        over_s=max((came for came, _ in after.refused), default=ended) - ended,
    )  # fmt: skip


def _call(host: Host, kind: str) -> Callable[[], Awaitable[None]]:
    found: Any = getattr(host.client(Busy), kind)
    call: Callable[[], Awaitable[None]] = found
    return call


def main() -> None:
    """The client: settings as JSON, folder and port of the server, kind of handler."""
    settings, folder, port, kind = sys.argv[1:]
    shed = uvloop.run(_measured(msgspec.json.decode(settings, type=Settings), Path(folder), int(port), kind))
    print(json.dumps(msgspec.to_builtins(shed)))


if __name__ == "__main__":
    main()
