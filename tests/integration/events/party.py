"""Nodes of one mesh in this process, each with a bus of its own over a real hub on loopback."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.ports import free_port
from vyked_host.assembly.environment import Workshop
from vyked_host.assembly.hubs import Hubs
from vyked_host.assembly.prepare import prepare
from vyked_host.builtin.embedded.events.bus import EmbeddedBus
from vyked_host.builtin.embedded.events.desk import BusDesk
from vyked_host.builtin.embedded.options import BusOptions
from vyked_host.contracts import Environment, Event
from vyked_host.runtime.hub import MeshHub
from vyked_host.testing.conformance.pubsub import event
from vyked_host.testing.waiting import WITHIN_S

SCALE = 0.1
TEXT = """
[host]
mesh = "{mesh}"
[timing]
scale = {scale}
ping = 2.0
dial = 10.0
start = 150.0
[plugins]
autoload = false
"""


class Member:
    """One node."""

    def __init__(self, workshop: Workshop, hubs: Hubs, hub: MeshHub, bus: EmbeddedBus, env: Environment) -> None:
        self.workshop, self.hubs, self.hub, self.bus, self.env = workshop, hubs, hub, bus, env
        self.is_gone = False

    async def publish(self, each: Event | None = None, within: float = WITHIN_S) -> Event:
        """Publish one event and wait until the bus has it."""
        each = each or event()
        await self.bus.publish(each, deadline=self.env.clock.now() + within)
        return each

    @property
    def holds(self) -> bool:
        return self.hub.holder == self.env.node_id

    @property
    def desk(self) -> BusDesk:
        """The desk of a holder."""
        term: Any = self.hub._term
        found: BusDesk = term.desk(BusDesk)
        return found

    async def leave(self) -> None:
        """Stop as a host does: the bus, then the hub."""
        if not self.is_gone:
            self.is_gone = True
            await self.bus.aclose()
            await self.hubs.aclose()
            await self._end()

    async def crash(self) -> None:
        """Be gone without a word: nothing is flushed, told or handed over."""
        self.is_gone = True
        hub: Any = self.hub
        if self.holds and self.desk.store.durable:
            store: Any = self.desk.store
            store._file.close()  # as the kernel does for a killed process
        hub._cancel()
        self.bus._closed = True
        counter, hub._counter = hub._counter, None
        if counter is not None:
            await counter.close()
        if not hub._term.is_here:
            await hub._term.aclose()
        await self._end()

    async def _end(self) -> None:
        await self.workshop.tasks.cancel()
        self.workshop.clock.close()


class Party:
    """A mesh."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.address, self.mesh = f"127.0.0.1:{free_port()}", f"bus-{secrets.token_hex(4)}"
        self.folder, self.options = folder, options
        self._stack = contextlib.AsyncExitStack()

    async def member(self, **options: Any) -> Member:
        """One more node."""
        return await self._stack.enter_async_context(self._member(self.options | options))

    @asynccontextmanager
    async def _member(self, options: dict[str, Any]) -> AsyncIterator[Member]:
        ready = prepare(None, text=TEXT.format(mesh=self.mesh, scale=options.pop("scale", SCALE)))
        workshop = Workshop(ready.loaded.require(), ready.catalogue)
        workshop.load_serializers()
        with ThreadPoolExecutor(1) as threads:
            hubs = Hubs(workshop, threads, may_hold=options.pop("may_hold", True))
            workshop.hub = hubs.at
            env = msgspec.structs.replace(workshop.environment("bus"), folder=str(self.folder))
            bus = EmbeddedBus(BusOptions(address=self.address, **options), env)
            hub: Any = hubs.at(self.address)
            member = Member(workshop, hubs, hub, bus, env)
            try:
                await bus.verify()
                yield member
            finally:
                await member.leave()

    async def aclose(self) -> None:
        await self._stack.aclose()
