"""Hosts of one mesh in this process, over real sockets. Timers are scaled: a heartbeat is 0.2 s, a lease 0.6 s."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from tests.ports import free_port
from vyked_host.assembly import Host
from vyked_host.testing.waiting import eventually

H, T = 0.2, 0.6
TEXT = """
[host]
mesh = "{mesh}"
[plugins]
autoload = false
[registry.embedded]
address = "127.0.0.1:{port}"
[transports.{transport}]
port = 0
[timing]
scale = 0.04
dial = 50
hello = 50
pong = 15
start = 500
stop = 250
"""


class Party:
    """Hosts of one mesh."""

    def __init__(self) -> None:
        self.mesh, self.port = f"mesh-{secrets.token_hex(4)}", free_port()
        self.hosts: list[Host] = []

    async def host(self, *services: Any, more: str = "", transport: str = "tcp", **options: Any) -> Host:
        text = TEXT.format(mesh=self.mesh, port=self.port, transport=transport) + more
        host = Host(*services, text=text, **options)
        self.hosts.append(host)
        return await host.start()

    async def kill(self, host: Host) -> None:
        """End it without a word, as kill -9 would: nothing is withdrawn or handed over."""
        self.hosts.remove(host)
        node = host.node
        node.membership.announcement._lease = None
        hub: Any = next(iter(node.hubs._hubs.values()))  # type: ignore[attr-defined]
        hub._may_hold = False
        await host.stop()

    def is_seen(self, by: Host, *hosts: Host) -> bool:
        return set(by.node.directory.nodes) == {each.node.record.node_id for each in hosts}

    async def meet_again(self, epoch: int) -> None:
        """In another epoch than `epoch`."""
        await eventually(lambda: all(each.node.directory.view.epoch != epoch for each in self.hosts))
        await self.meet()

    async def meet(self) -> None:
        await eventually(lambda: all(self.is_seen(each, *self.hosts) and well(each) for each in self.hosts))


def well(host: Host) -> bool:
    return not host.node.directory.doubts


def holder(hosts: Sequence[Host]) -> Host:
    hubs: list[Any] = [next(iter(each.node.hubs._hubs.values())) for each in hosts]  # type: ignore[attr-defined]
    return next(host for host, hub in zip(hosts, hubs, strict=True) if hub.holder == host.node.record.node_id)
