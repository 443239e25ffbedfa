"""The programs that are compared. Each is one module with

* ``server(folder, port, case) -> argv``: the command of its server on loopback TCP; `folder` is empty and its own;
* ``load(folder, port, plan) -> Measured``: a coroutine, its client, run in a process of its own;
* ``serve(port, case)``: a coroutine, for peers whose server is this package itself (``python -m benchmarks.peers NAME serve``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from ..echo import Case
from ..load import Measured, Plan

PEERS = {"vyked": "ours", "grpc": "grpc_aio", "nats": "nats_py", "aiohttp": "aiohttp_post", "raw": "raw"}
"""Name on the command line -> module."""
OLD_WIRE = {"classic": "classic", "lines": "json_lines"}
"""Those of `python -m benchmarks old_wire`."""


class Peer(Protocol):
    """One module of this package."""

    server: Callable[[Path, int, Case], list[str]]
    load: Callable[[Path, int, Plan], Coroutine[Any, Any, Measured]]


def peer(name: str) -> Peer:
    """The peer called `name`; imports what it needs."""
    return cast(Peer, import_module(f"{__name__}.{(PEERS | OLD_WIRE)[name]}"))


def own_server(name: str, port: int, case: Case) -> list[str]:
    """The command of a server that is one of these modules."""
    return [sys.executable, "-m", __name__, name, "serve", f"--port={port}", f"--case={as_text(case)}"]


def as_text(value: msgspec.Struct) -> str:
    """`value` as one word of a command."""
    return msgspec.json.encode(value).decode()
