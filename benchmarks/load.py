"""The load: first one call at a time for the latency, then a fixed number in flight for throughput and CPU per call."""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from .echo import PAYLOADS, Case
from .processes import DidNotStart, apart, cpu_seconds, memory_mib, tune_collector

WARM_UP_CALLS = 500


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a client does to the server with process id `server`. `seconds` are those of the throughput phase; `calls` ends it
    after so many instead. `sampler`: a command run beside the throughput phase; `{client}` and `{server}` in it are the processes."""

    server: int
    in_flight: int = 64
    seconds: float = 2.0
    calls: int = 0
    sequential: int = 3000
    case: Case = Case()
    sampler: tuple[str, ...] = ()


class Measured(msgspec.Struct, kw_only=True):
    """The figures of one round of one peer: times in microseconds, memory in MiB."""

    calls_per_second: float = 0.0
    client_cpu_us: float = 0.0
    server_cpu_us: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    client_mib: float = 0.0
    server_mib: float = 0.0
    calls: float = 0.0
    failed: float = 0.0

    @property
    def cpu_us(self) -> float:
        """Of both processes, per call."""
        return self.client_cpu_us + self.server_cpu_us

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
        figures.calls = calls
        figures.calls_per_second = calls / (time.perf_counter() - self._at)
        figures.client_cpu_us = (time.process_time() - self._client_cpu) / calls * 1e6
        figures.server_cpu_us = (cpu_seconds(self._server) - self._server_cpu) / calls * 1e6
        figures.client_mib, figures.server_mib = memory_mib(os.getpid()), memory_mib(self._server)


Call = Callable[[Any], Awaitable[Any]]


async def drive(
    calls: Sequence[Call], plan: Plan, value: Any = None, failures: tuple[type[Exception], ...] = ()
) -> Measured:  # fmt: skip
    """The load, for every peer that is called by awaiting: one of `calls` for each connection. `value` instead of the payload;
    `failures`: calls at full load that raise these are counted apart. Raises ValueError when the echo is none."""
    value = PAYLOADS[plan.case.payload].value if value is None else value
    for call in calls:
        if await call(value) != value:
            raise ValueError(f"the echo of {str(value)[:80]} is another")
    figures = Measured()
    tune_collector()
    with apart(plan.server):
        await one_by_one(calls[0], value, min(WARM_UP_CALLS, plan.sequential))
        figures.latencies(await one_by_one(calls[0], value, plan.sequential))
    with _sampled(plan):
        meter = Meter(plan)
        meter.stop(await _in_flight(calls, value, plan, failures, figures), figures)
    return figures


@contextmanager
def _sampled(plan: Plan) -> Iterator[None]:
    if not plan.sampler:
        yield
        return
    argv = [each.format(client=os.getpid(), server=plan.server) for each in plan.sampler]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr) as sampler:
        yield
    if sampler.returncode:
        raise DidNotStart(f"{argv[0]} ended with {sampler.returncode}")


async def one_by_one(call: Call, value: Any, calls: int) -> list[float]:
    """The seconds that each of `calls` calls took, made one after the other."""
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        await call(value)
        taken.append(time.perf_counter() - start)
    return taken


async def _in_flight(
    calls: Sequence[Call], value: Any, plan: Plan, failures: tuple[type[Exception], ...], figures: Measured
) -> int:  # fmt: skip
    left = float(plan.calls) if plan.calls else math.inf
    if not plan.calls:
        asyncio.get_running_loop().call_later(plan.seconds, lambda: stop())

    def stop() -> None:
        nonlocal left
        left = 0

    async def caller(call: Call) -> int:
        nonlocal left
        made = 0
        while left > 0:
            left -= 1
            try:
                await call(value)
                made += 1
            except failures:
                figures.failed += 1
                await asyncio.sleep(0)  # refused at once: others have to get their turn
        return made

    callers = (caller(calls[number % len(calls)]) for number in range(plan.in_flight))
    return sum(await asyncio.gather(*callers))
