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
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
import uvloop

from vyked_host import Host
from vyked_host.runtime import inside, invocation, line, pacing

from . import report
from .echo import ROW
from .peers.ours import CLIENT, Echo
from .peers.variants import VARIANTS, Variant
from .processes import LOOPBACK, free_port

SERVER = CLIENT + "\n[transports.tcp]\nport = {port}\n"
WARM_UP_CALLS = 500
HALVES = ("server", "client")
HEADINGS = ("function", "bytecodes", "entries", "C calls")
SETTLE_S = 0.3
"""What both hosts have to do once after they met, and not for each call, gets this time."""
SHOWN = 1.0
"""Bytecodes per call from which a function has a line."""
UNHURRIED_S = 10.0
_IMPATIENT = (
    (line, "TURN_S"),
    (inside, "LONGEST_S"),
    (invocation, "BLOCKED_S"),
    (pacing, "BLOCKED_S"),
    (pacing, "LATE_S"),
)
"""How long a turn of the loop may last, and a call wait in it."""
_HERE = Path(__file__).parent


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `calls`, `in_flight` of them at once, of each of the `variants`; the first of them is shown function by function."""

    calls: int = 1600
    in_flight: int = 32
    variants: tuple[str, ...] = tuple(VARIANTS)


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
    """Count, print, and return everything: a list of costs for each variant and end."""
    rows = {
        f"{variant}, {half}": costs
        for variant in settings.variants
        for half, costs in _counted(settings, variant).items()
    }
    found = report.Report("path", msgspec.to_builtins(settings), rows)
    print(found.heading())
    for half in HALVES:
        print(f"\n{half}, per call")
        print(report.table(HEADINGS, shown(rows[f"{settings.variants[0]}, {half}"])))
    print("\nbytecodes per call at either end, by what is switched off or on")
    print(report.table(("variant", *HALVES), [
        (name, *(f"{sum(each.opcodes for each in rows[f'{name}, {half}']):.0f}" for half in HALVES))
        for name in settings.variants
    ]))  # fmt: skip
    return found


def shown(costs: Sequence[Cost]) -> list[tuple[str, ...]]:
    cells: list[tuple[str, ...]] = [
        (each.function, f"{each.opcodes:.1f}", f"{each.entries:.2f}", f"{each.c_calls:.2f}")
        for each in costs
        if each.opcodes >= SHOWN
    ]
    whole = (sum(getattr(each, name) for each in costs) for name in ("opcodes", "entries", "c_calls"))
    return [*cells, ("all of it", *(f"{each:.1f}" for each in whole))]


def _counted(settings: Settings, variant: str) -> dict[str, list[Cost]]:
    ours = Ours(VARIANTS[variant], free_port(), f"{LOOPBACK}:{free_port()}")
    server, client = Tally(), Tally()
    is_up: Future[Switches] = Future()
    with unhurried(), ThreadPoolExecutor(1) as threads:
        served = threads.submit(_run, _serve(ours, server, is_up))
        switches = is_up.result(30)
        try:
            _run(_load(ours, settings, client, switches))
        except BaseException:
            switches.begin()
            switches.end()
            raise
        served.result()
    return dict(zip(HALVES, (server.costs(settings.calls), client.costs(settings.calls)), strict=True))


@contextmanager
def unhurried() -> Iterator[None]:
    """While bytecodes are counted everything takes a hundred times as long, and a host must not take that for handlers that compute."""
    with ExitStack() as stack:
        for module, name in _IMPATIENT:
            stack.enter_context(patch.object(module, name, UNHURRIED_S))
        yield


class Ours(NamedTuple):
    """Both hosts: in what they differ from those of `rpc`, and where they meet."""

    variant: Variant
    port: int
    registry: str

    def client(self) -> Host:
        """The one that calls."""
        address = f"tcp://{LOOPBACK}:{self.port}"
        overrides = [each.replace("{address}", address) for each in self.variant.client]
        return Host(text=CLIENT.format(registry=self.registry), overrides=overrides)

    def server(self) -> Host:
        """The one that is called."""
        return Host(
            Echo, text=SERVER.format(port=self.port, registry=self.registry), overrides=list(self.variant.server)
        )


class Switches(NamedTuple):
    """What begins and ends the counting at the other end, to be called in another thread."""

    begin: Callable[[], object]
    end: Callable[[], object]


async def _serve(ours: Ours, tally: Tally, is_up: Future[Switches]) -> None:
    begun, ended, other = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop().call_soon_threadsafe
    async with ours.server():
        is_up.set_result(Switches(partial(other, begun.set), partial(other, ended.set)))
        await begun.wait()
        with tally.counting():
            await ended.wait()


async def _load(ours: Ours, settings: Settings, tally: Tally, server: Switches) -> None:
    async with ours.client() as host:
        async with asyncio.timeout(30):
            while not any(each.instances for each in host.node.directory.nodes.values()):
                await host.node.directory.change()
        variant = ours.variant
        method = getattr(host.client(Echo), variant.method or "row")
        call = method.using(**variant.options) if variant.options else method
        value = msgspec.to_builtins(ROW) if variant.method else ROW

        async def caller(calls: int) -> None:
            for _ in range(calls):
                await call(value)

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
