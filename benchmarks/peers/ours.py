"""vyked-host, through its public face only: a service class, `vyked-host run` with a vyked.toml, a client-only `Host`.

Everything that is on by default is on: deadlines, limits, validation, cancellation, metadata, metrics.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vyked_host import Host, Service, api

from ..echo import Row
from ..load import Measured, Plan, drive
from ..processes import LOOPBACK, script

SERVER = """\
[host]
mesh = "bench"
loop = "uvloop"

[logging]
level = "warning"

[transports.tcp]
port = {port}

[services.echo]
use = "benchmarks.peers.ours:Echo"
"""
CLIENT = """\
[host]
mesh = "bench"

[logging]
level = "warning"

[registry]
use = "static"

[registry.static]
nodes = ["tcp://{address}"]
"""


class Echo(Service, name="echo", version="1.0.0"):
    """What is called."""

    @api
    async def echo(self, row: Row) -> Row:
        """`row` again."""
        return row


def server(folder: Path, port: int) -> list[str]:
    """The command of the server; writes its vyked.toml."""
    file = folder / "vyked.toml"
    file.write_text(SERVER.format(port=port))
    return [script("vyked-host"), "run", str(file)]


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client."""
    async with open_client(port) as echo:
        return await drive(echo.echo, plan)


@asynccontextmanager
async def open_client(port: int) -> AsyncIterator[Echo]:
    """A typed client of the service behind `port`, in a host that serves nothing."""
    async with Host(text=CLIENT.format(address=f"{LOOPBACK}:{port}")) as host:
        echo = host.client(Echo)
        yield echo
