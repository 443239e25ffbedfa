"""`vyked-host run`: one host in a process of its own, from start to exit code, with its signals.

SIGTERM and SIGINT drain; a second one forces and names what was left; SIGUSR2 writes every task and its stack to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from ..contracts import Tls
from ..errors import EXIT_FAILED, EXIT_OK
from ..model.settings import Settings
from ..runtime.turns import driven
from ..runtime.watchdog import Watchdog
from .environment import node_name
from .host import Host
from .leftovers import LEAVING_S, end_leftovers
from .logs import set_up
from .prepare import Prepared
from .shortage import Shortage

GC_THRESHOLDS = (50_000, 20, 50)
"""Young objects die young here: looking for garbage each 700 of them costs a tenth of the throughput (docs/benchmarks.md)."""
log = logging.getLogger("vyked")
Started = Callable[[Host, float], None]


def run(
    ready: Prepared, started: Started, services: Sequence[object] = (), *, ronin: bool = False, is_hub: bool = False,
    title: str | None = None, logs: bool = True, tls: Mapping[str, Tls] | None = None,
) -> int:  # fmt: skip
    """Serve until a signal; `started` is told the host and the seconds it took; `services` are served beside those of the
    file; `ronin`: none waits for its dependencies; `is_hub`: serve none, only hold the place where the others meet; `title`: what the process
    is called, with `setproctitle`, instead of vyked-host and its name; `logs`: set logging up, which the caller has not;
    `tls`: contexts that take the place of those of ``[security.tls]``, by kind and table ("transport.http"). Returns the exit code. Raises ConfigError, StartError and their kin before
    anything is announced."""
    settings = ready.loaded.require()
    if logs and not ready.catalogue.hooks.configure_logging(_plain(settings)):
        set_up(settings.logging)
    _title(title or f"vyked-host [{node_name(settings)}]")
    with asyncio.Runner(debug=settings.host.debug, loop_factory=loop_factory(settings)) as runner:
        host = Host.joining(ready, keeps=True) if is_hub else Host.of(ready, services, ronin=ronin, tls=tls)
        return runner.run(_serve(host, started))


def _plain(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings.logging, name) for name in settings.logging.__struct_fields__}


def loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop that the file asks for; "auto": uvloop where it is installed. Raises ImportError for a wish unmet."""
    if settings.host.loop == "asyncio" or (settings.host.debug and settings.host.loop == "auto"):
        return None
    try:
        import uvloop
    except ImportError:
        if settings.host.loop == "uvloop":
            raise
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _title(text: str) -> None:
    with contextlib.suppress(ImportError):
        import setproctitle

        setproctitle.setproctitle(text)


class Signals:
    """What the process was told to do."""

    def __init__(self) -> None:
        self.stop, self.force = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._told)
        loop.add_signal_handler(signal.SIGUSR2, dump)

    def _told(self) -> None:
        (self.force if self.stop.is_set() else self.stop).set()


def tidy() -> None:
    """What start-up made lives as long as the host: the collector need not look at it again. It looks once more, for some 80 ms, which
    nobody notices before the first caller can come."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _serve(host: Host, started: Started) -> int:
    began = time.perf_counter()
    asyncio.get_running_loop().set_exception_handler(Shortage())
    signals, watchdog = Signals(), Watchdog(log)
    host.before_serving = tidy
    if not await _unless(signals.stop, host.start(), signals.force):
        await end_leftovers()
        return EXIT_FAILED if signals.force.is_set() else EXIT_OK
    watchdog.start()
    started(host, time.perf_counter() - began)
    try:
        return await _until_told(host, signals)
    finally:
        watchdog.stop()
        await end_leftovers()


async def _until_told(host: Host, signals: Signals) -> int:
    node = host.node
    node.stop_asked = signals.stop.set
    await signals.stop.wait()
    log.info("draining: %d calls in flight", len(node.dispatcher.running))
    if await _unless(signals.force, host.stop()):
        return _left(node.left_behind)
    return _left(await node.abort()) or EXIT_FAILED


async def _unless(interrupted: asyncio.Event, work: object, forced: asyncio.Event | None = None) -> bool:
    """Do `work` to its end, or cancel it when the signal comes; True: it came to its end. `forced` cuts short what it does
    when it is cancelled; without, that gets a moment."""
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]  # any coroutine
    await _first(task, interrupted)
    if task.done():
        task.result()
        return True
    task.cancel()
    if forced is not None:
        await _first(task, forced)
        task.cancel()
    await asyncio.wait({task}, timeout=LEAVING_S)
    if task.done() and not task.cancelled():
        task.result()
    return False


async def _first(task: asyncio.Future[Any], event: asyncio.Event) -> None:
    """Wait for the end of `task`, or for `event`."""
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.wait({waiting})


def _left(names: list[str]) -> int:
    if not names:
        log.info("stopped")
        return EXIT_OK
    log.error("stopped by force; still running: %s", ", ".join(names))
    return EXIT_FAILED


def dump() -> None:
    """Every task with its stack, outermost call first, to the log."""
    for task in asyncio.all_tasks():
        where = "".join(
            f"\n    {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" for frame in _stack(task)
        )
        log.warning("task %s%s", task.get_name(), where or " (not started)")
    sys.stderr.flush()


def _stack(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """The frames of what a task waits in; `Task.get_stack` has only the outermost one."""
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame = next(
            filter(None, (getattr(waiting, name, None) for name in ("cr_frame", "gi_frame", "ag_frame"))), None
        )
        if frame is not None:
            yield frame
        inner = (getattr(waiting, name, None) for name in ("cr_await", "gi_yieldfrom", "ag_await"))
        waiting = next(filter(None, inner), None) or (driven(frame) if frame is not None else None)
