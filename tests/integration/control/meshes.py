"""Hosts of one mesh in one process, that meet at a port of their own, each with a control service."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.ports import free_port
from vyked_host.assembly import Host
from vyked_host.assembly.control import Control
from vyked_host.testing import eventually

PLAIN = "[plugins]\nautoload = false\n"


def node_of(host: Host) -> str:
    return host.node.record.node_id


class Meshed:
    """Hosts, and one that only asks."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack, self.mesh = stack, f"seen-{secrets.token_hex(4)}"
        self.place = f"127.0.0.1:{free_port()}"
        self.hosts: list[Host] = []

    def text(self, name: str, more: str = "") -> str:
        return (
            f'[host]\nmesh = "{self.mesh}"\nname = "{name}"\n{PLAIN}[registry]\nuse = "embedded"\n'
            f'[registry.embedded]\naddress = "{self.place}"\n'
            f"{self._bus(more)}{more}"
        )

    def _bus(self, more: str) -> str:
        return "" if "[pubsub" in more else f'[pubsub.embedded]\naddress = "{self.place}"\n'

    async def host(self, *services: Any, name: str, more: str = "") -> Host:
        """One more host, that every other one knows."""
        tcp = "[transports.local]\n[transports.tcp]\nport = 0\n"
        made = await self._entered(Host(*services, text=self.text(name, tcp + more)))
        self.hosts.append(made)
        return made

    async def asker(self, more: str = "") -> Host:
        """A host that serves nothing."""
        return await self._entered(Host(text=self.text("asker", more)))

    async def _entered(self, made: Host) -> Host:
        await self._stack.enter_async_context(made)
        await eventually(lambda: all(self._knows(each, made) for each in self.hosts))
        return made

    def _knows(self, one: Host, other: Host) -> bool:
        return node_of(one) in other.node.directory.nodes and (
            not other.addresses or node_of(other) in one.node.directory.nodes
        )


@asynccontextmanager
async def meshed() -> AsyncIterator[Meshed]:
    async with AsyncExitStack() as stack:
        yield Meshed(stack)


def control(asker: Host, node: Host) -> Control:
    return asker.ask(asker.node.directory.nodes[node_of(node)])
