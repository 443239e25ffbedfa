"""A node's lease at the embedded registry: one stream that is held open, and heartbeats beside it.

Both are opened again, with growing pauses, for as long as the lease may live; a registry that started anew refuses them, which
ends the lease: its holder announces the node again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ...contracts import Anew, Generation, Lease, NodeRecord, Taken
from ...errors import Unavailable, VykedError
from ...routing.backoff import Backoff
from .desk import RegistryDesk
from .messages import Answer, Held, Speaker
from .mishaps import Mishaps

if TYPE_CHECKING:
    from .registry import EmbeddedRegistry

AGAIN = Backoff(first=0.1, most=10.0, factor=1.6)
JITTER = 0.1
"""A heartbeat comes this share of its interval earlier or later, so that those of many nodes spread."""


class EmbeddedLease(Lease):
    """`contracts.Lease` of one node."""

    def __init__(self, registry: EmbeddedRegistry, speaker: Speaker, heartbeat_s: float) -> None:
        self._registry, self._speaker, self._heartbeat_s = registry, speaker, heartbeat_s
        self.generation: Generation = speaker.generation
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.mishaps = Mishaps(registry.log, f"the lease of node {speaker.node_id}")
        self._cancels = [
            registry.spawn(self._hold(), f"lease of {speaker.node_id}"),
            registry.spawn(self._beat(), f"heartbeat of {speaker.node_id}"),
        ]

    # ---- contracts.Lease ---------------------------------------------------------------------------------------------
    async def update(self, record: NodeRecord) -> None:
        """The record changed. Raises errors.Unavailable when this lease is over, or the registry is away."""
        answer = await self._ask(lambda desk: desk.update(self._speaker, record))
        if answer.refused:
            self._end(answer.refused, answer)
            raise Unavailable(answer.refused, executed="not_executed")

    async def withdraw(self) -> None:
        """The node leaves; a lease that is over already has nothing to withdraw. Raises errors.Unavailable."""
        if self.is_over:
            return
        try:
            await self._ask(lambda desk: desk.withdraw(self._speaker))
        finally:
            self.close()

    @property
    def is_over(self) -> bool:
        """Was it lost, withdrawn or closed?"""
        return not self._cancels

    def close(self) -> None:
        """Let the connection end, whatever the registry makes of it. Idempotent."""
        cancels, self._cancels = self._cancels, []
        for cancel in cancels:
            cancel()
        self._registry.closed(self)

    # ---- staying known -----------------------------------------------------------------------------------------------
    async def _hold(self) -> None:
        attempt = 0
        while not self.lost.done():
            try:
                if await self._held():
                    attempt = 0
            except VykedError as error:
                self._registry.log.debug("node %s lost its registry: %s", self._speaker.node_id, error)
            except Exception as error:  # noqa: BLE001 - told; it is held again
                self.mishaps.met(error)
            await asyncio.sleep(AGAIN.spread(attempt, self._registry.chance()) * self._registry.scale)
            attempt += 1

    async def _held(self) -> bool:
        """Hold the stream until it ends; did the lease stand?"""
        desk, stood = await self._registry.desk(), False
        async with desk.hold(self._speaker) as items:
            async for held in items:
                stood = True
                if held.lost:
                    self._end(held.lost, held)
        return stood

    async def _beat(self) -> None:
        while not self.lost.done():
            await asyncio.sleep(self._heartbeat_s * (1 - JITTER + 2 * JITTER * self._registry.chance()))
            try:
                answer = await self._ask(lambda desk: desk.renew(self._speaker))
                if answer.refused:
                    self._end(answer.refused, answer)
            except VykedError as error:  # the stream beside it says so too, and is opened again
                self._registry.log.debug("no heartbeat of node %s: %s", self._speaker.node_id, error)
            except Exception as error:  # noqa: BLE001 - told; a node without heartbeats would be removed though it lives
                self.mishaps.met(error)

    def _end(self, reason: str, said: Answer | Held) -> None:
        if not self.lost.done() and not self.is_over:
            kind = Taken if said.taken else Anew if said.anew else str
            self.lost.set_result(kind(reason))
            self.close()

    async def _ask(self, question: Callable[[RegistryDesk], Awaitable[Answer]]) -> Answer:
        return await self._registry.ask(question)
