"""What one call costs without a clock: the bytecodes, the calls of Python functions and of C functions that the way of a call takes,
function by function, at either end. The same on a busy machine as on an idle one, so it shows what a change of the code is worth
where CPU time shows the weather.

Server and client are hosts of this process, each in a thread and a loop of its own, with everything on, as in `rpc`. What C does
(msgspec, uvloop, tasks and futures) is counted as calls and not weighed: `profile` does that.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import msgspec
import uvloop

from vyked_host import Host

from . import report
from .echo import ROW
from .peers.ours import CLIENT, Echo
from .processes import LOOPBACK, free_port

SERVER = CLIENT + "\n[transports.tcp]\nport = {port}\n"
WARM_UP_CALLS = 500
SETTLE_S = 0.3
"""What both hosts have to do once after they met, and not for each call, gets this time."""
SHOWN = 1.0
"""Bytecodes per call from which a function has a line."""
_HERE = Path(__file__).parent


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `calls`, `in_flight` of them at once."""

    calls: int = 1600
    in_flight: int = 32


class Cost(msgspec.Struct, kw_only=True):
    """Of one function, per call of ours: bytecodes, times it was called or went on, calls of C functions from it."""

    function: str
    opcodes: float
    entries: float
    c_calls: float


class Tally:
    """What the thread that `counting` runs in executes."""

    def __init__(self) -> None:
        self.opcodes, self.entries, self.c_calls = Counter[CodeType](), Counter[CodeType](), Counter[CodeType]()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count while this is entered, in this thread."""
        sys.settrace(self._enter)
        sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(None)
            sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _arg: object) -> Callable[..., Any]:
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        self.entries[frame.f_code] += 1
        return self._step

    def _step(self, frame: FrameType, event: str, _arg: object) -> Callable[..., Any]:
        if event == "opcode":
            self.opcodes[frame.f_code] += 1
        return self._step

    def _called(self, frame: FrameType, event: str, _arg: object) -> None:
        if event == "c_call":
            self.c_calls[frame.f_code] += 1

    def costs(self, calls: int) -> list[Cost]:
        """Dearest first, without this package's own."""
        found = [
            Cost(
                function=_named(code), opcodes=self.opcodes[code] / calls, entries=self.entries[code] / calls,
                c_calls=self.c_calls[code] / calls,
            )
            for code in {*self.opcodes, *self.c_calls} if not Path(code.co_filename).is_relative_to(_HERE)
        ]  # fmt: skip
        return sorted(found, key=lambda each: -each.opcodes)


def run(settings: Settings) -> report.Report:
    """Count, print, and return everything."""
    halves = {"server": Tally(), "client": Tally()}
    _measure(settings, halves)
    rows = {half: tally.costs(settings.calls) for half, tally in halves.items()}
    found = report.Report("path", msgspec.to_builtins(settings), rows)
    print(found.heading())
    for half, costs in rows.items():
        whole = [sum(getattr(each, name) for each in costs) for name in ("opcodes", "entries", "c_calls")]
        cells: list[tuple[str, ...]] = [
            (each.function, f"{each.opcodes:.1f}", f"{each.entries:.2f}", f"{each.c_calls:.2f}")
            for each in costs
            if each.opcodes >= SHOWN
        ]
        cells.append(("all of it", *(f"{each:.1f}" for each in whole)))
        print(f"\n{half}, per call")
        print(report.table(("function", "bytecodes", "entries", "C calls"), cells))
    return found


def _measure(settings: Settings, halves: dict[str, Tally]) -> None:
    port, registry = free_port(), f"{LOOPBACK}:{free_port()}"
    is_up: Future[Switches] = Future()
    with ThreadPoolExecutor(1) as threads:
        served = threads.submit(_run, _serve(port, registry, halves["server"], is_up))
        switches = is_up.result(30)
        try:
            _run(_load(registry, settings, halves["client"], switches))
        finally:
            switches.begin()
            switches.end()
        served.result()


class Switches(NamedTuple):
    """What begins and ends the counting at the other end, to be called in another thread."""

    begin: Callable[[], object]
    end: Callable[[], object]


async def _serve(port: int, registry: str, tally: Tally, is_up: Future[Switches]) -> None:
    begun, ended, other = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop().call_soon_threadsafe
    async with Host(Echo, text=SERVER.format(port=port, registry=registry)):
        is_up.set_result(Switches(partial(other, begun.set), partial(other, ended.set)))
        await begun.wait()
        with tally.counting():
            await ended.wait()


async def _load(registry: str, settings: Settings, tally: Tally, server: Switches) -> None:
    async with Host(text=CLIENT.format(registry=registry)) as host:
        async with asyncio.timeout(30):
            while not any(each.instances for each in host.node.directory.nodes.values()):
                await host.node.directory.change()
        call = host.client(Echo).row

        async def caller(calls: int) -> None:
            for _ in range(calls):
                await call(ROW)

        async def load(calls: int) -> None:
            await asyncio.gather(*(caller(calls // settings.in_flight) for _ in range(settings.in_flight)))

        await load(WARM_UP_CALLS)
        await asyncio.sleep(SETTLE_S)
        server.begin()
        with tally.counting():
            await load(settings.calls)
        server.end()


def _run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def _named(code: CodeType) -> str:
    where = Path(code.co_filename)
    return f"{'/'.join(where.parts[-2:])} {code.co_qualname}"
