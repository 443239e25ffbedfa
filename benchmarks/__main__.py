"""The command line of the benchmarks: `python -m benchmarks NAME`. Each is a module of this package with `Settings` and `run`; its
options are the fields of its settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args, get_origin

import msgspec

from . import report
from .echo import Case
from .peers import PEERS
from .peers.variants import VARIANTS

BENCHMARKS = {
    "rpc": "echo over loopback TCP: throughput, CPU per call, latency",
    "semantics": "the same, ours alone, with each semantic switched off in turn",
    "profile": "the same, ours alone: which functions hold how much of the CPU of a call",
    "path": "the same, ours alone: bytecodes and calls of functions per call, which no clock disturbs",
    "local": "a call inside one process, over a bare await, and the bytecodes that it takes",
    "memory": "a server idle, after all calls, at its peak; an idle connection; the demo",
    "fairness": "p99 of small calls beside a big stream, and beside a long handler and idle connections",
    "overload": "five times the calls that get done: goodput, p99 of the accepted and of refusals, and how soon it is over",
    "http": "hello and JSON echo under wrk, beside bare aiohttp",
    "growth": "throughput with 1,000 endpoints, 200 instances, 5,000 registry entries",
    "startup": "--help, and the demo until it is ready; with 200 installed plugins",
    "mesh": "a change seen by all hosts; heartbeats of many nodes",
    "old_wire": "echo over the wire of Vyked 2.x, beside bare JSON lines",
    "registry": "the registry in a Redis server: a change seen by all watchers; what it costs when nothing changes",
    "events": "fan-out and acked events between processes; the holder's memory",
    "brokers": "events over Redis and NATS beside the bare client libraries and FastStream: 64 publishers, and the way of one event",
    "goals": "every figure that has a goal, beside its floor and its goal",
}
"""Module -> what it measures."""
HELP = {
    "rounds": "peers take turns in each; medians are shown",
    "peers": "which to compare, with commas",
    "seconds": "of full load per round and peer; of heartbeats",
    "sequential": "calls one by one, for the latency",
    "in_flight": "calls under way at once",
    "calls": "how many to make",
    "counted": "how many more to count the bytecodes of",
    "idle": "idle connections",
    "times": "how much of the peak comes in the flood",
    "mib": "size of the stream beside the small calls",
    "held": "seconds of the handler beside the small calls",
    "plugins": "how many to pretend",
    "only": "which of them, with commas: benchmarks to take the figures of; buses",
    "payload": "small: a row of 95 bytes; k1: 10 of them; k64: 700 of them; 64K: a string of 64 KiB",
    "handler": "suspends: gives way once",
    "variants": "which of ours, with commas; the first is shown function by function",
    "variant": "ours with one semantic switched off",
}


class Benchmark(Protocol):
    """One module of this package."""

    Settings: type[msgspec.Struct]
    run: Callable[[Any], report.Report]


def main() -> None:
    """Run one benchmark."""
    asked = parser().parse_args()
    module = benchmark(asked.benchmark)
    found = module.run(settings(module.Settings, vars(asked)))
    if asked.save:
        found.save(asked.save)


def benchmark(name: str) -> Benchmark:
    """The module of that name."""
    return cast(Benchmark, import_module(f"{__package__}.{name}"))


def settings(kind: type[msgspec.Struct], given: Mapping[str, Any]) -> Any:
    """`kind` with what is `given`; the circumstances of the echo lie flat among the rest."""
    return kind(**{
        field.name: settings(Case, given) if field.type is Case else given[field.name] for field in msgspec.structs.fields(kind)
    })  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Of all benchmarks; imports them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures, as ratios to others beside us.")
    which = parser.add_subparsers(dest="benchmark", required=True, metavar="|".join(BENCHMARKS))
    for name, text in BENCHMARKS.items():
        one = which.add_parser(name, help=text)
        for field in _options(benchmark(name).Settings):
            _add(one, field)
        one.add_argument("--save", type=Path, metavar="FILE", help="write every round to FILE as JSON")
    return parser


def _options(kind: type[msgspec.Struct]) -> Iterator[msgspec.structs.FieldInfo]:
    for field in msgspec.structs.fields(kind):
        yield from _options(Case) if field.type is Case else (field,)


def _add(parser: argparse.ArgumentParser, field: msgspec.structs.FieldInfo) -> None:
    flag, kind = f"--{field.name.replace('_', '-')}", field.type
    how: dict[str, Any] = {"default": field.default, "help": HELP.get(field.name)}
    if field.name == "peers":
        parser.add_argument(
            "--compare", dest="peers", metavar="NAMES", **{**how, "type": _peers, "default": field.default}
        )
    elif field.name == "variant":
        parser.add_argument(flag, choices=list(VARIANTS), **how)
    elif get_origin(kind) is Literal:
        parser.add_argument(flag, choices=get_args(kind), **how)
    elif get_origin(kind) is tuple:
        parser.add_argument(flag, type=_names, metavar="NAMES", **how)
    else:
        parser.add_argument(flag, type=kind, **how)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _peers(text: str) -> tuple[str, ...]:
    """`text`, a list with commas, as names of peers; vyked itself is always one."""
    return known(("vyked", *text.split(",")))


def known(names: Iterable[str]) -> tuple[str, ...]:
    """`names` without doubles. Raises ArgumentTypeError for one that is no peer."""
    from .events import FAN_OUT

    found, there = tuple(dict.fromkeys(names)), sorted({*PEERS, *FAN_OUT})
    if unknown := [name for name in found if name not in there]:
        raise argparse.ArgumentTypeError(f"no peer {', '.join(unknown)}; there are {', '.join(there)}")
    return found


if __name__ == "__main__":
    main()
