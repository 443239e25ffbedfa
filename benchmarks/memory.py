"""Memory: each peer's echo server idle, after each of several loads, and at its peak; and the demo once it is ready.

What grows from the second load to the last is lost per call; the first load fills pools and caches.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import msgspec

from . import report, rpc
from .processes import memory_mib
from .startup import demo

HEADINGS = ("peer", "idle MiB", "after load 1", "after the last", "peak", "grown kB", "per 1000 calls", "client MiB")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `loads` times `seconds` of calls, against one server process for each peer."""

    peers: tuple[str, ...]
    loads: int = 4
    in_flight: int = 64
    seconds: float = 2.0


class Resident(msgspec.Struct, kw_only=True):
    """MiB of one server: idle, after each load, at its peak; of its client; and how many calls each load made."""

    idle: float
    after: list[float]
    calls: list[int]
    peak: float
    client: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    found = {name: _measure(name, settings) for name in settings.peers}
    ready = demo()
    answer = report.Report("memory", msgspec.to_builtins(settings), {"peers": found, "demo": ready})
    print(answer.heading())
    print(report.table(HEADINGS, (_row(name, one) for name, one in found.items())))
    print(f"\ndemo (vyked.toml) once ready: {ready.resident_mib:.1f} MiB")
    return answer


def _measure(name: str, settings: Settings) -> Resident:
    print(name, file=sys.stderr)
    load = rpc.Settings(peers=(name,), in_flight=settings.in_flight, seconds=settings.seconds, sequential=100)
    with rpc.serving(name) as target:
        found = Resident(idle=memory_mib(target.pid), after=[], calls=[], peak=0.0, client=0.0)
        for _ in range(settings.loads):
            measured = target.load(load)
            found.after.append(memory_mib(target.pid))
            found.calls.append(round(measured.calls_per_second * settings.seconds))
            found.client = measured.client_mib
        found.peak = memory_mib(target.pid, "VmHWM")
    return found


def _row(name: str, one: Resident) -> Sequence[str]:
    return [name, *cells(one)]


def cells(one: Resident) -> Iterator[str]:
    """The row of one server, without its name."""
    second = one.after[:2][-1]
    grown_kb = (one.after[-1] - second) * 1024
    calls = sum(one.calls[2:])
    for mib in (one.idle, one.after[0], one.after[-1], one.peak):
        yield f"{mib:.1f}"
    yield f"{grown_kb:.0f}"
    yield f"{grown_kb / calls * 1000:.2f}" if calls else "-"
    yield f"{one.client:.1f}"
