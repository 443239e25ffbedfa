"""vyked-host, through its public face only: a service class, `vyked-host run` with a vyked.toml, a client-only `Host`.

Everything that is on by default is on: deadlines, limits, validation, cancellation, metadata, counters, the access middleware
around every handler, a balancer, and a registry that the client watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from vyked_host import CallError, Host, Service, api

from ..echo import PAYLOADS, Case, Row
from ..load import Call, Measured, Plan, drive
from ..processes import LOOPBACK, free_port, script
from .variants import VARIANTS

SERVER = """\
[host]
mesh = "bench"
loop = "{loop}"

[plugins]
autoload = false  # another program's exporter that happens to be installed is not ours to measure

[logging]
level = "warning"

[transports.tcp]
port = {port}

[registry.embedded]
address = "{registry}"

[services.echo]
use = "benchmarks.peers.ours:Echo"

[services.suspending]
use = "benchmarks.peers.ours:Suspending"
"""
CLIENT = """\
[host]
mesh = "bench"

[plugins]
autoload = false  # another program's exporter that happens to be installed is not ours to measure

[logging]
level = "warning"

[registry.embedded]
address = "{registry}"
"""


class Echo(Service, name="echo", version="1.0.0"):
    """What is called."""

    @api
    async def row(self, row: Row) -> Row:
        """`row` again."""
        return row

    @api
    async def rows(self, rows: list[Row]) -> list[Row]:
        """`rows` again."""
        return rows

    @api
    async def text(self, text: str) -> str:
        """`text` again."""
        return text

    @api
    async def anything(self, value: Any) -> Any:
        """`value` again, unchecked."""
        return value


class Suspending(Service, name="suspending", version="1.0.0"):
    """The same, whose handlers give way to others once."""

    @api
    async def row(self, row: Row) -> Row:
        """`row` again."""
        await asyncio.sleep(0)
        return row

    @api
    async def rows(self, rows: list[Row]) -> list[Row]:
        """`rows` again."""
        await asyncio.sleep(0)
        return rows

    @api
    async def text(self, text: str) -> str:
        """`text` again."""
        await asyncio.sleep(0)
        return text


def server(folder: Path, port: int, case: Case) -> list[str]:
    """The command of the server; writes its vyked.toml, and into a file beside it where its registry is."""
    registry = f"{LOOPBACK}:{free_port()}"
    (folder / "registry").write_text(registry)
    file = folder / "vyked.toml"
    file.write_text(SERVER.format(port=port, loop=case.loop, registry=registry))
    more = [word for each in VARIANTS[case.variant].server for word in ("--set", each)]
    return [script("vyked-host"), "run", str(file), *more]


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: a host for each connection."""
    variant, case = VARIANTS[plan.case.variant], plan.case
    kind, payload = (Suspending if case.handler == "suspends" else Echo), PAYLOADS[case.payload]
    async with AsyncExitStack() as stack:
        calls: list[Call] = []
        for _ in range(case.connections):
            host = await stack.enter_async_context(open_host(folder, port, case))
            method = getattr(host.client(kind), variant.method or payload.method)
            calls.append(method.using(**variant.options) if variant.options else method)
        value = msgspec.to_builtins(payload.value) if variant.method == "anything" else payload.value
        return await drive(calls, plan, value, (CallError,))


@asynccontextmanager
async def open_host(folder: Path, port: int, case: Case) -> AsyncIterator[Host]:
    """A host that serves nothing, once it knows the server behind `port`."""
    address = f"tcp://{LOOPBACK}:{port}"
    overrides = [each.replace("{address}", address) for each in VARIANTS[case.variant].client]
    text = CLIENT.format(registry=(folder / "registry").read_text())
    async with Host(text=text, overrides=overrides) as host:
        async with asyncio.timeout(30):
            while not any(each.instances for each in host.node.directory.nodes.values()):
                await host.node.directory.change()
        yield host
