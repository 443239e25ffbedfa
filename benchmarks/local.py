"""A call inside one process: an async def that does not suspend, with an argument that is frozen all the way down, through a
client and by a bare await. The difference is what a local call costs. And what it is made of, in bytecodes, as `path` counts them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop

from vyked_host import Host, Service, api

from . import report
from .echo import Loop
from .path import HEADINGS, Cost, Tally, shown, unhurried
from .processes import tune_collector

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
TEXT = """
[host]
mesh = "bench"
[logging]
level = "warning"
[plugins]
autoload = false
[transports.local]
[registry.embedded]
address = "none"
"""


class Frozen(msgspec.Struct, frozen=True):
    """The small row, which nobody can change: it is handed over by reference."""

    user_name: str
    n: int
    tags: tuple[str, ...]
    f: float


FROZEN = Frozen("alice.liddell@home.example.org", 123456, ("red", "green", "blue"), 1.5)


class Echo(Service, name="echo", version="1.0.0"):
    """What is called."""

    @api
    async def frozen(self, row: Frozen) -> Frozen:
        """`row` again."""
        return row


async def bare(row: Frozen) -> Frozen:
    """The same handler without a host: `Host.instance(...).frozen` is not bare, it calls with what the host knows of the method."""
    return row


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `rounds` of `calls`, one after the other; `counted` more whose bytecodes are counted."""

    rounds: int = 5
    calls: int = 50_000
    counted: int = 400
    loop: Loop = "uvloop"


class Took(msgspec.Struct, kw_only=True):
    """Microseconds of one call."""

    bare_us: float
    client_us: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    with asyncio.Runner(loop_factory=LOOPS[settings.loop]) as runner:
        rounds = runner.run(_measured(settings))
    with unhurried(), asyncio.Runner(loop_factory=LOOPS[settings.loop]) as runner:
        costs = runner.run(_counted(settings))
    found = report.Report("local", msgspec.to_builtins(settings), {"local": rounds, "path": costs})
    middle = report.median(rounds)
    over = middle.client_us - middle.bare_us
    print(found.heading())
    print(report.table(
        ("call inside one process", "us"),
        [("bare await", f"{middle.bare_us:.2f}"), ("through a client", f"{middle.client_us:.2f}"), ("over the bare await", f"{over:.2f}")],
    ))  # fmt: skip
    print(f"\n{report.table(HEADINGS, shown(costs))}")
    return found


async def _measured(settings: Settings) -> list[Took]:
    async with Host(Echo, text=TEXT) as host:
        client = host.client(Echo).frozen
        if await client(FROZEN) is not FROZEN:
            raise ValueError("the argument was copied")
        tune_collector()
        await _per_call(client, settings.calls // 10 + 1)
        return [
            Took(bare_us=await _per_call(bare, settings.calls), client_us=await _per_call(client, settings.calls))
            for _ in range(settings.rounds)
        ]


async def _counted(settings: Settings) -> list[Cost]:
    tally = Tally()
    async with Host(Echo, text=TEXT) as host:
        client = host.client(Echo).frozen

        async def load(calls: int) -> None:
            for _ in range(calls):
                await client(FROZEN)

        await load(settings.counted)
        with tally.counting():
            await load(settings.counted)
    return tally.costs(settings.counted)


async def _per_call(call: Callable[[Frozen], Awaitable[Any]], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        await call(FROZEN)
    return (time.perf_counter() - began) / calls * 1e6
