"""The same echo over the wire of Vyked 2.x (plugins/vyked-classic): a host that old processes register at, and another one that
registers there, finds the service and calls it. All that is on by default is on.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from vyked_host import CallError, Host, Service, client

from ..echo import PAYLOADS, Case
from ..load import Call, Measured, Plan, drive
from ..processes import free_port, script
from .ours import Echo

COMMON = """\
[plugins]
autoload = false  # another program's exporter that happens to be installed is not ours to measure
[logging]
level = "warning"
[limits]
untyped_message = "1MiB"
"""
SERVER = """\
[host]
mesh = "bench"
loop = "{loop}"
[registry.embedded]
address = "none"
[transports.classic]
port = {port}
registry = "127.0.0.1:{registry}"
[services.echo]
use = "benchmarks.peers.ours:Echo"
"""
CLIENT = """\
[host]
mesh = "bench"
[registry]
use = "classic"
[registry.classic]
port = {registry}
[transports.classic]
port = 0
[clients.default]
warm_up = 0
"""


class Caller(Service, name="caller", version="1.0.0"):
    """Registers, as every client of Vyked 2.x does, and is told where the echo is."""

    echo = client(Echo, version="1")


def server(folder: Path, port: int, case: Case) -> list[str]:
    """The command of the server; writes its vyked.toml, and into a file beside it where its registry is."""
    registry = free_port()
    (folder / "registry").write_text(str(registry))
    file = folder / "vyked.toml"
    file.write_text(COMMON + SERVER.format(port=port, loop=case.loop, registry=registry))
    return [script("vyked-host"), "run", str(file)]


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: a host for each connection."""
    payload = PAYLOADS[plan.case.payload]
    text = COMMON + CLIENT.format(registry=(folder / "registry").read_text())
    async with AsyncExitStack() as stack:
        calls: list[Call] = []
        for _ in range(plan.case.connections):
            host = await stack.enter_async_context(Host(Caller, text=text))
            calls.append(getattr(host.instance(Caller).echo, payload.method))
            await _found(calls[-1], payload.value)
        return await drive(calls, plan, payload.value, (CallError,))


async def _found(call: Call, value: Any) -> None:
    """Wait until the registry has told where the service is. Raises TimeoutError."""
    until = time.monotonic() + 30
    while True:
        try:
            if msgspec.to_builtins(await call(value)) is not None:
                return
        except CallError as error:
            if time.monotonic() > until:
                raise TimeoutError(f"the echo was not found: {error}") from error
            await asyncio.sleep(0.02)
