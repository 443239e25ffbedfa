"""The load: first one call at a time for the latency, then a fixed number in flight for throughput and CPU per call."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

import msgspec

from .echo import ROW, Row
from .processes import apart, cpu_seconds, memory_mib, tune_collector

WARM_UP_CALLS = 500


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a client does to the server with process id `server`. `seconds` are those of the throughput phase."""

    server: int
    in_flight: int = 64
    seconds: float = 2.0
    sequential: int = 3000


class Measured(msgspec.Struct, kw_only=True):
    """The figures of one round of one peer: times in microseconds, memory in MiB."""

    calls_per_second: float = 0.0
    client_cpu_us: float = 0.0
    server_cpu_us: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    client_mib: float = 0.0
    server_mib: float = 0.0

    def latencies(self, seconds: list[float]) -> None:
        """Take in the latency of each sequential call."""
        cuts = statistics.quantiles(seconds, n=100)
        self.p50_us, self.p99_us = cuts[49] * 1e6, cuts[98] * 1e6


class Meter:
    """Throughput and CPU of both processes, from its creation until `stop`."""

    def __init__(self, plan: Plan) -> None:
        self._server = plan.server
        self._at = time.perf_counter()
        self._client_cpu, self._server_cpu = time.process_time(), cpu_seconds(plan.server)

    def stop(self, calls: int, figures: Measured) -> None:
        """Write into `figures` what `calls` calls took."""
        figures.calls_per_second = calls / (time.perf_counter() - self._at)
        figures.client_cpu_us = (time.process_time() - self._client_cpu) / calls * 1e6
        figures.server_cpu_us = (cpu_seconds(self._server) - self._server_cpu) / calls * 1e6
        figures.client_mib, figures.server_mib = memory_mib(os.getpid()), memory_mib(self._server)


Call = Callable[[Row], Awaitable[Row]]


async def drive(call: Call, plan: Plan) -> Measured:
    """The load, for every peer that is called by awaiting; raises ValueError when the echo is none."""
    answer = await call(ROW)
    if answer != ROW:
        raise ValueError(f"the echo of {ROW} is {answer}")
    figures = Measured()
    tune_collector()
    with apart(plan.server):
        await _one_by_one(call, WARM_UP_CALLS)
        figures.latencies(await _one_by_one(call, plan.sequential))
    meter = Meter(plan)
    meter.stop(await _in_flight(call, plan), figures)
    return figures


async def _one_by_one(call: Call, calls: int) -> list[float]:
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        await call(ROW)
        taken.append(time.perf_counter() - start)
    return taken


async def _in_flight(call: Call, plan: Plan) -> int:
    over = asyncio.Event()

    async def caller() -> int:
        calls = 0
        while not over.is_set():
            await call(ROW)
            calls += 1
        return calls

    asyncio.get_running_loop().call_later(plan.seconds, over.set)
    return sum(await asyncio.gather(*(caller() for _ in range(plan.in_flight))))
