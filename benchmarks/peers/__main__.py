"""One process of one peer: ``serve``, or ``load``, which prints its figures as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from ..echo import Case, Loop
from ..load import Plan
from ..processes import tune_collector
from . import OLD_WIRE, PEERS, peer

T = TypeVar("T")
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


def main() -> None:
    """Do one half of a peer."""
    asked = _parser().parse_args()
    module = peer(asked.peer)
    if asked.half == "serve":
        case = msgspec.json.decode(asked.case, type=Case)
        tune_collector()
        _run(module.serve(asked.port, case), case.loop)  # type: ignore[attr-defined]  # only asked of peers that have it
        return
    plan = msgspec.json.decode(asked.plan, type=Plan)
    print(msgspec.json.encode(_run(module.load(asked.folder, asked.port, plan), plan.case.loop)).decode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("peer", choices=[*PEERS, *OLD_WIRE])
    halves = parser.add_subparsers(dest="half", required=True)
    serve, load = halves.add_parser("serve"), halves.add_parser("load")
    for half in (serve, load):
        half.add_argument("--port", type=int, required=True)
    serve.add_argument("--case", required=True, help="echo.Case as JSON")
    load.add_argument("--folder", type=Path, required=True)
    load.add_argument("--plan", required=True, help="load.Plan as JSON")
    return parser


def _run(main: Coroutine[Any, Any, T], loop: Loop) -> T:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main)


if __name__ == "__main__":
    main()
