"""One process of one peer: ``serve``, or ``load``, which prints its figures as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from ..load import Plan
from ..processes import tune_collector
from . import PEERS, peer

T = TypeVar("T")


def main() -> None:
    """Do one half of a peer."""
    asked = _parser().parse_args()
    module = peer(asked.peer)
    if asked.half == "serve":
        tune_collector()
        _run(module.serve(asked.port))  # type: ignore[attr-defined]  # only asked of peers that have it
        return
    plan = Plan(server=asked.server, in_flight=asked.in_flight, seconds=asked.seconds, sequential=asked.sequential)
    print(msgspec.json.encode(_run(module.load(asked.folder, asked.port, plan))).decode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    halves = parser.add_subparsers(dest="half", required=True)
    serve, load = halves.add_parser("serve"), halves.add_parser("load")
    for half in (serve, load):
        half.add_argument("--port", type=int, required=True)
    load.add_argument("--folder", type=Path, required=True)
    load.add_argument("--server", type=int, required=True, help="process id of the server")
    load.add_argument("--in-flight", type=int, required=True)
    load.add_argument("--seconds", type=float, required=True)
    load.add_argument("--sequential", type=int, required=True)
    return parser


def _run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


if __name__ == "__main__":
    main()
