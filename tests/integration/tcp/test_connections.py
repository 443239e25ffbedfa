"""`[clients.NAME] connections`: more than one connection to a node, for those who ask for them."""

from __future__ import annotations

import asyncio

from vyked_host import Host, Service, api

SERVER = """\
[host]
mesh = "connections"

[transports.tcp]
port = 0
"""
CLIENT = """\
[host]
mesh = "connections"

[registry]
use = "static"

[registry.static]
nodes = ["{uri}"]

[clients.default]
connections = {count}
"""


class Gate(Service, name="gate", version="1.0.0"):
    def __init__(self) -> None:
        self.peers: set[str] = set()
        self.inside = 0
        self.full = asyncio.Event()

    @api
    async def enter(self) -> None:
        self.inside += 1
        if self.inside == 12:
            self.full.set()
        await self.full.wait()


async def connections_of(count: int) -> int:
    async with Host(Gate, text=SERVER) as server:
        text = CLIENT.format(uri=server.addresses[0].uri, count=count)
        async with Host(text=text) as client:
            gate = client.client(Gate)
            await asyncio.gather(*(gate.enter() for _ in range(12)))
            [link] = [
                each for name, each in client._node.directory._links.items() if name != client._node.record.node_id
            ]
            ways = [link.best, *link._others.values()]
            return len([way for way in ways if way.channel is not None])


async def test_calls_share_one_connection_unless_more_are_asked_for():
    assert await connections_of(1) == 1


async def test_calls_spread_over_as_many_connections_as_are_asked_for():
    assert await connections_of(3) == 3
