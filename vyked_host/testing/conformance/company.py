"""Several nodes with a registry each: what the registry suite plays with. They share a mesh, and a hub without sockets."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from ...contracts import Address, Environment, Instance, NodeRecord, Provider, Registry, TimingTable
from ..shared_hub import Seat, SharedHub
from ..surroundings import environment

QUICK = TimingTable(heartbeat=0.2, lease=0.6, sweep=0.04, gone_after=0.2, dial=2.0)
"""The times of the registry, shorter: a heartbeat is 0.2 s."""


class Member:
    """A node: its environment and its registry. `seat.mute` makes it silent, where the registry is at the hub."""

    def __init__(self, env: Environment, seat: Seat, provider: Provider[Registry], options: msgspec.Struct) -> None:
        self.env, self.seat = env, seat
        self._provider, self._options = provider, options
        self.registry = provider.build(options, env)

    def record(self, *services: str, **labels: str) -> NodeRecord:
        """The node with active instances of `services`."""
        return record(self.env, self.env.node_id, *services, **labels)

    async def die(self) -> None:
        """Its process ends without a word; another one takes its place."""
        await self.registry.aclose()
        self.seat.mute = False
        self.registry = self._provider.build(self._options, self.env)


class Company:
    """The nodes of one mesh."""

    def __init__(self, provider: Provider[Registry], options: msgspec.Struct, timing: TimingTable) -> None:
        self._provider, self._options, self._timing = provider, options, timing
        self.mesh, self.hub = f"mesh-{secrets.token_hex(4)}", SharedHub()
        self.stack = AsyncExitStack()
        self._members: list[Member] = []

    async def join(self, node_id: str) -> Member:
        """One more node."""
        seat = self.hub.seat(node_id)
        env = await self.stack.enter_async_context(
            environment(
                node_id=node_id, namespace=self.mesh, timing=self._timing, hub=lambda _address: seat,
                rng=random.Random(f"{node_id} {len(self._members)}"),  # chance that repeats itself
            )
        )  # fmt: skip
        member = Member(env, seat, self._provider, self._options)
        self._members.append(member)
        self.stack.push_async_callback(lambda: member.registry.aclose())
        return member

    async def aclose(self) -> None:
        """End it all."""
        await self.hub.end()
        await self.stack.aclose()


@asynccontextmanager
async def company(
    provider: Provider[Registry], options: msgspec.Struct, timing: TimingTable = QUICK
) -> AsyncIterator[Company]:  # fmt: skip
    """Nodes for the length of a block."""
    found = Company(provider, options, timing)
    try:
        yield found
    finally:
        await found.aclose()


def record(env: Environment, node_id: str, *services: str, version: str = "1.0.0", **labels: str) -> NodeRecord:
    """A node with active instances of `services`."""
    instances = tuple(Instance(service=each, version=version, status="active") for each in services)
    address = Address(transport="tcp", uri="tcp://127.0.0.1:4502")
    return NodeRecord(
        node_id=node_id, namespace=env.namespace, addresses=(address,), instances=instances, labels=labels
    )
