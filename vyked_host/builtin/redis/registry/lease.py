"""A node's lease: beats, for as long as the server takes them, and a channel that it listens to, by which the server knows whether it
is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ....catalog.state import State
from ....contracts import Anew, Generation, Lease, NodeRecord, Taken
from ....errors import Unavailable, VykedError
from .scripts import BEAT, WITHDRAW

if TYPE_CHECKING:
    from .registry import RedisRegistry

JITTER = 0.1
"""A beat comes this share of its interval earlier or later, so that those of many nodes spread."""


class RedisLease(Lease):
    """`contracts.Lease` of one node. `revision`: who knows the registry up to there knows this lease."""

    def __init__(
        self, registry: RedisRegistry, node_id: str, generation: Generation, *, life: int, revision: int, pace_s: float
    ) -> None:  # fmt: skip
        self._registry, self.node_id, self.generation = registry, node_id, generation
        self._life, self.revision, self._pace_s = life, revision, pace_s
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._saying, self._due, self._is_new = asyncio.Lock(), asyncio.Event(), False
        self._who = (node_id, str(generation.epoch), str(generation.counter), str(life))
        self._cancel: Callable[[], None] | None = registry.spawn(self._beat(), f"heartbeat of {node_id}")

    @property
    def link(self) -> str:
        """The end of the name of the channel that it listens to."""
        return f"{self.node_id}:{self.generation.counter}"

    # ---- contracts.Lease ---------------------------------------------------------------------------------------------
    async def update(self, record: NodeRecord) -> None:
        """The record changed. Raises errors.Unavailable when this lease is over, or the server is away."""
        packed = self._registry.packed(record)
        if record.node_id != self.node_id:
            raise Unavailable(f"node {self.node_id} can't speak for node {record.node_id}", executed="not_executed")
        async with (
            self._saying
        ):  # one after the other: what is said again after a lost connection is the last word still
            await self._say(packed)

    async def withdraw(self) -> None:
        """The node leaves; a lease that is over already has nothing to withdraw. Raises errors.Unavailable."""
        if self.is_over:
            return
        try:
            await self._registry.run(WITHDRAW, *self._who)
        finally:
            self.close()

    @property
    def is_over(self) -> bool:
        """Was it lost, withdrawn or closed?"""
        return self._cancel is None

    def close(self) -> None:
        """No beat from now on. Idempotent."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()
            self._registry.closed(self)

    # ---- staying known -----------------------------------------------------------------------------------------------
    def is_heard(self) -> None:
        """The server knows that the node is connected: a beat says so at once, for it may have been taken for lost."""
        self._is_new = True
        self._due.set()

    async def _beat(self) -> None:
        while not self.lost.done():
            await self._until_due()
            try:
                async with self._saying:
                    await self._say(b"")
            except VykedError as error:
                self._registry.log.debug("no heartbeat of node %s: %s", self.node_id, error)

    async def _until_due(self) -> None:
        pause = self._pace_s * (1 - JITTER + 2 * JITTER * self._registry.chance())
        try:
            async with asyncio.timeout(pause):
                await self._due.wait()
        except TimeoutError:
            pass
        self._due.clear()

    async def _say(self, packed: bytes) -> None:
        if self.is_over:
            raise Unavailable(f"the lease of node {self.node_id} is over", executed="not_executed")
        is_new, self._is_new = self._is_new, False
        reply = await self._registry.run(BEAT, *self._who, packed, "1" if is_new else "")
        what = bytes(reply[0]).decode()
        if what:
            self.end(what)
            raise Unavailable(self.lost.result() if self.lost.done() else "the lease is over", executed="not_executed")
        self._pace_s = self._registry.pace(reply[2])
        if packed:
            self._registry.said(self.generation.epoch, reply[1])

    # ---- its end -----------------------------------------------------------------------------------------------------
    def judge(self, state: State, revision: int) -> None:
        """What the registry holds of this node, up to `revision`: is this life over?"""
        entry = state.entries.get(self.node_id)
        if state.epoch != self.generation.epoch:
            self.end("anew")
        elif revision < self.revision or (entry is not None and entry.generation == self.generation):
            return
        elif entry is None:
            self.end("unknown")
        else:
            self.end("newer" if entry.life == self._life else "taken")

    def end(self, what: str) -> None:
        """It is over, for this reason."""
        if not self.lost.done() and not self.is_over:
            kind, text = _REASONS.get(what, (str, what))
            self.lost.set_result(kind(f"node {self.node_id}: {text}"))
            self.close()


_REASONS: dict[str, tuple[type[str], str]] = {
    "anew": (Anew, "the registry started anew, without what it knew"),
    "unknown": (str, "it was removed, since nothing was heard of it for too long or its connection was lost"),
    "newer": (str, "it was announced again"),
    "taken": (Taken, "another process announced this node id"),
}
