"""Hosts of one mesh that know one another by address, each with a control service."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from vyked_host.assembly import Host
from vyked_host.assembly.control import Control
from vyked_host.testing import eventually

PLAIN = "[plugins]\nautoload = false\n"


def mesh_name() -> str:
    return f"seen-{secrets.token_hex(4)}"


def text(mesh: str, name: str, *nodes: str, more: str = "") -> str:
    listed = ", ".join(f'"{each}"' for each in nodes)
    return (
        f'[host]\nmesh = "{mesh}"\nname = "{name}"\n{PLAIN}[transports.local]\n[transports.tcp]\nport = 0\n'
        f'[registry]\nuse = "static"\n[registry.static]\nnodes = [{listed}]\n{more}'
    )


def uri_of(host: Host) -> str:
    return next(each.uri for each in host.addresses if each.transport == "tcp")


def node_of(host: Host) -> str:
    return host.node.record.node_id


class Meshed:
    """Hosts, and one that only asks."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack, self.mesh = stack, mesh_name()

    async def host(self, *services: Any, name: str, knows: tuple[Host, ...] = (), more: str = "") -> Host:
        """One more host, that knows others."""
        made = Host(*services, text=text(self.mesh, name, *map(uri_of, knows), more=more))
        await self._stack.enter_async_context(made)
        await eventually(lambda: all(node_of(each) in made.node.directory.nodes for each in knows))
        return made

    async def asker(self, *knows: Host) -> Host:
        """A host that serves nothing."""
        nodes = ", ".join(f'"{uri_of(each)}"' for each in knows)
        made = Host(
            text=f'[host]\nmesh = "{self.mesh}"\n{PLAIN}[registry]\nuse = "static"\n[registry.static]\nnodes = [{nodes}]\n'
        )
        await self._stack.enter_async_context(made)
        await eventually(lambda: all(node_of(each) in made.node.directory.nodes for each in knows))
        return made


@asynccontextmanager
async def meshed() -> AsyncIterator[Meshed]:
    async with AsyncExitStack() as stack:
        yield Meshed(stack)


def control(asker: Host, node: Host) -> Control:
    return asker.ask(asker.node.directory.nodes[node_of(node)])
