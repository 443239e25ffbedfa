"""The programs that are compared. Each is one module with

* ``server(folder, port) -> argv``: the command of its server on loopback TCP; `folder` is empty and its own;
* ``load(folder, port, plan) -> Measured``: a coroutine, its client, run in a process of its own;
* ``serve(port)``: a coroutine, for peers whose server is this package itself (``python -m benchmarks.peers NAME serve``).

All run on uvloop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from ..load import Measured, Plan

PEERS = {"vyked": "ours", "grpc": "grpc_aio", "raw": "raw"}
"""Name on the command line -> module."""


class Peer(Protocol):
    """One module of this package."""

    server: Callable[[Path, int], list[str]]
    load: Callable[[Path, int, Plan], Coroutine[Any, Any, Measured]]


def peer(name: str) -> Peer:
    """The peer called `name`; imports what it needs."""
    return cast(Peer, import_module(f"{__name__}.{PEERS[name]}"))


def own_server(name: str, port: int) -> list[str]:
    """The command of a server that is one of these modules."""
    return [sys.executable, "-m", __name__, name, "serve", "--port", str(port)]
