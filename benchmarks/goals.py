"""Every figure that has a goal, in one run: what is measured beside its floor and its goal, with the command that takes it alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from . import fairness, growth, http, local, memory, report, rpc
from .echo import Case
from .load import Measured

ALONE_S = 0.2
"""Of full load, where only the latency of calls made one by one is asked for."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `only` these benchmarks; `rounds` and `seconds` of each; `calls` for the memory of a server."""

    only: tuple[str, ...] = ("rpc", "local", "memory", "fairness", "http", "growth")
    rounds: int = 3
    seconds: float = 2.0
    calls: int = 1_000_000


class Figure(msgspec.Struct, kw_only=True):
    """One row. `more`: is more better?"""

    figure: str
    floor: float
    goal: float
    measured: float
    command: str
    more: bool = True

    @property
    def verdict(self) -> str:
        """Where it stands."""
        sign = 1 if self.more else -1
        if sign * self.measured >= sign * self.goal:
            return "goal"
        return "floor" if sign * self.measured >= sign * self.floor else "below"


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    figures = list[Figure]()
    for name in settings.only:
        print(f"== {name}", file=sys.stderr)
        figures += TAKEN[name](settings)
    found = report.Report("goals", msgspec.to_builtins(settings), {"figures": figures})
    print(f"\n{found.heading()}")
    rows = [
        (each.figure, f"{each.floor:.3g}", f"{each.goal:.3g}", f"{each.measured:.3g}", each.verdict) for each in figures
    ]
    print(report.table(("figure", "floor", "goal", "measured", "reaches"), rows))
    return found


# ---- one function for each benchmark ---------------------------------------------------------------------------------
class Echo(NamedTuple):
    """A case of `rpc` whose throughput is compared with grpc.aio's."""

    figure: str
    case: Case
    floor: float
    goal: float
    peers: Sequence[str] = ("vyked", "grpc")


ECHOES = (
    Echo("throughput, small, uvloop; x grpc.aio", Case(), 18, 30, ("vyked", "grpc", "nats", "aiohttp", "raw")),
    Echo("over 8 connections; x grpc.aio", Case(connections=8), 14, 24),
    Echo("handler that suspends once; x grpc.aio", Case(handler="suspends"), 12, 18),
    Echo("stock loop; x grpc.aio", Case(loop="asyncio"), 12, 22),
    Echo("1 KiB structured; x grpc.aio", Case(payload="k1"), 4, 6),
    Echo("64 KiB structured; x grpc.aio", Case(payload="k64"), 1.2, 1.5),
    Echo("64 KiB string; x grpc.aio", Case(payload="64K"), 2, 3),
)


def of_rpc(settings: Settings) -> list[Figure]:
    """Throughput, latency and CPU beside the peers."""
    found = list[Figure]()
    for figure, case, floor, goal, peers in ECHOES:
        load = rpc.Settings(peers=tuple(peers), rounds=settings.rounds, seconds=settings.seconds, case=case)
        rounds = rpc.run(load).rounds
        ratio = report.paired(rounds["vyked"], rounds["grpc"], "calls_per_second")
        found.append(Figure(figure=figure, floor=floor, goal=goal, measured=ratio, command=_command(case)))
        if "raw" in rounds:
            found += [*_beside_raw(rounds), _one_by_one(settings)]
    return found


def _one_by_one(settings: Settings) -> Figure:
    """How long a call takes that is made alone. Where its processes find themselves decides of a third of that, so it takes more rounds."""
    load = rpc.Settings(peers=("vyked", "raw"), rounds=3 * settings.rounds, seconds=ALONE_S)
    rounds = rpc.run(load).rounds
    measured = report.paired(rounds["vyked"], rounds["raw"], "p50_us")
    return _less("sequential p50, pinned; x the raw echo", 2, 1.5, measured, f"rpc --rounds {load.rounds}")


def _beside_raw(rounds: Mapping[str, Sequence[Measured]]) -> list[Figure]:
    ours = rounds["vyked"]
    throughput = report.paired(ours, rounds["raw"], "calls_per_second")
    command = _command(Case())
    return [
        Figure(
            figure="the first as a share of the raw echo", floor=0.25, goal=0.40, measured=throughput, command=command
        ),
        _less(
            "CPU per call as a share of grpc.aio's",
            1 / 20,
            1 / 32,
            report.paired(ours, rounds["grpc"], "cpu_us"),
            command,
        ),
    ]


def of_local(settings: Settings) -> list[Figure]:
    """A call inside one process."""
    rounds = local.run(local.Settings(rounds=max(3, settings.rounds))).rounds["local"]
    middle = report.median(rounds)
    return [_less("local call over the bare await, us", 3, 2, middle.client_us - middle.bare_us, "local")]


def of_memory(settings: Settings) -> list[Figure]:
    """Our server."""
    rounds = memory.run(memory.Settings(peers=("vyked",), calls=settings.calls)).rounds
    ours = rounds["peers"]["vyked"]
    grown = (ours.whole / ours.tenth - 1) * 100
    command = "memory --compare vyked"
    return [
        _less(f"server after {settings.calls:,} calls, MiB", 50, 45, ours.whole, command),
        _less("its growth from a tenth of them, %", 2, 0, max(0.0, grown), command),
        _less("an idle connection, KiB", 10, 8, rounds["connection"], command),
    ]


def of_fairness(settings: Settings) -> list[Figure]:
    """Small calls beside something big."""
    (rounds,) = fairness.run(fairness.Settings(rounds=settings.rounds)).rounds.values()
    middle = report.median(rounds)
    return [
        _less("p99 of small calls beside a 16 MiB stream, ms", 6, 3, middle.stream_us / 1000, "fairness"),
        _less(
            "p99 beside a 10 s handler and 1,000 idle connections; x alone",
            2,
            1.3,
            middle.idle_us / middle.alone_us,
            "fairness",
        ),
    ]


def of_http(settings: Settings) -> list[Figure]:
    """Beside bare aiohttp. Its two paths are asked one after the other, so that the machine is another one now and then: it takes more rounds."""
    seconds = max(1, round(settings.seconds))
    rounds = http.run(http.Settings(rounds=3 * settings.rounds, seconds=seconds)).rounds
    return [
        Figure(
            figure=f"HTTP {path}, share of bare aiohttp",
            floor=0.75,
            goal=0.9,
            measured=http.share(rounds, f"vyked {path}"),
            command="http",
        )
        for path in http.PATHS
    ]


def of_growth(settings: Settings) -> list[Figure]:
    """As a mesh grows."""
    found = growth.run(growth.Settings(rounds=max(5, settings.rounds), seconds=settings.seconds))
    return [
        Figure(figure=f"{label}; share of the smallest", floor=0.85, goal=0.95, measured=share, command="growth")
        for label, share in growth.of_smallest(found.rounds).items()
        if label not in growth.SMALLEST
    ]


TAKEN: dict[str, Callable[[Settings], list[Figure]]] = {
    "rpc": of_rpc, "local": of_local, "memory": of_memory, "fairness": of_fairness, "http": of_http, "growth": of_growth,
}  # fmt: skip
"""Benchmark -> its figures."""


def _less(figure: str, floor: float, goal: float, measured: float, command: str) -> Figure:
    return Figure(figure=figure, floor=floor, goal=goal, measured=measured, command=command, more=False)


def _command(case: Case) -> str:
    plain = Case()
    given = {
        field: getattr(case, field) for field in case.__struct_fields__ if getattr(case, field) != getattr(plain, field)
    }
    return " ".join(["rpc", *(f"--{name} {value}" for name, value in given.items())])
