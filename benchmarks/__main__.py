"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeVar

import msgspec

from . import events, memory, mesh, report, rpc, startup
from .peers import PEERS

Settings = TypeVar("Settings", bound=msgspec.Struct)


def main() -> None:
    """Run one benchmark."""
    asked = _parser().parse_args()
    found: report.Report = asked.run(asked)
    if asked.save:
        found.save(asked.save)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures, as ratios to others beside us.")
    which = parser.add_subparsers(required=True, metavar="rpc|startup|memory|mesh|events")
    _rpc(which.add_parser("rpc", help="echo over loopback TCP: throughput, CPU per call, latency"))
    _startup(which.add_parser("startup", help="--help, and the demo until it is ready; with 200 installed plugins"))
    _memory(which.add_parser("memory", help="resident memory idle, under load, and what is lost per call"))
    _mesh(which.add_parser("mesh", help="a change seen by all hosts; heartbeats of many nodes"))
    _events(which.add_parser("events", help="fan-out and acked events between processes; the holder's memory"))
    for one in which.choices.values():
        one.add_argument("--save", type=Path, metavar="FILE", help="write every round to FILE as JSON")
    return parser


def _rpc(parser: argparse.ArgumentParser) -> None:
    defaults = rpc.Settings(peers=())
    _load(parser)
    parser.add_argument("--rounds", type=int, default=defaults.rounds)
    parser.add_argument("--sequential", type=int, default=defaults.sequential, help="calls one by one, for the latency")
    parser.set_defaults(run=lambda asked: rpc.run(_settings(rpc.Settings, asked)))


def _startup(parser: argparse.ArgumentParser) -> None:
    defaults = startup.Settings()
    parser.add_argument("--rounds", type=int, default=defaults.rounds)
    parser.add_argument("--plugins", type=int, default=defaults.plugins, help="how many to pretend")
    parser.set_defaults(run=lambda asked: startup.run(_settings(startup.Settings, asked)))


def _memory(parser: argparse.ArgumentParser) -> None:
    _load(parser)
    parser.add_argument("--loads", type=int, default=memory.Settings(peers=()).loads)
    parser.set_defaults(run=lambda asked: memory.run(_settings(memory.Settings, asked)))


def _mesh(parser: argparse.ArgumentParser) -> None:
    defaults = mesh.Settings()
    for name in ("hosts", "services", "changes", "nodes"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="of heartbeats")
    parser.set_defaults(run=lambda asked: mesh.run(_settings(mesh.Settings, asked)))


def _events(parser: argparse.ArgumentParser) -> None:
    defaults = events.Settings()
    for name in ("rounds", "events", "acked", "many"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    parser.add_argument(
        "--compare", dest="peers", type=lambda text: tuple(dict.fromkeys(("vyked", *text.split(",")))), metavar="NAMES",
        default=defaults.peers, help=f"of {','.join(events.FAN_OUT)}",
    )  # fmt: skip
    parser.set_defaults(run=lambda asked: events.run(_settings(events.Settings, asked)))


def _load(parser: argparse.ArgumentParser) -> None:
    defaults = rpc.Settings(peers=())
    everyone = tuple(PEERS)
    parser.add_argument(
        "--compare", dest="peers", type=_peers, default=everyone, metavar="NAMES", help=f"of {','.join(everyone)}"
    )
    parser.add_argument("--in-flight", type=int, default=defaults.in_flight)
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="of full load per round and peer")


def _peers(text: str) -> tuple[str, ...]:
    """`text`, a list with commas, as names of peers; vyked itself is always one."""
    names = dict.fromkeys(("vyked", *text.split(",")))
    if unknown := [name for name in names if name not in PEERS]:
        raise argparse.ArgumentTypeError(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return tuple(names)


def _settings(kind: type[Settings], asked: argparse.Namespace) -> Settings:
    return kind(**{name: getattr(asked, name) for name in kind.__struct_fields__})


if __name__ == "__main__":
    main()
