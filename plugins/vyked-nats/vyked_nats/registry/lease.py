"""A node's lease: heartbeats, each on condition that nobody else spoke for the node since the last; and a subject that it listens
to, by which others see whether it is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from vyked_host import Unavailable, VykedError
from vyked_host.contracts import Anew, Generation, Lease, NodeRecord, Taken

from ..connection import Connection
from ..jetstream.api import Refused
from ..line import Line
from ..message import Message
from .bucket import WRONG_REVISION, Life, packed, written

if TYPE_CHECKING:
    from .registry import NatsRegistry

JITTER = 0.1
"""A beat comes this share of its interval earlier or later, so that those of many nodes spread."""


class NatsLease(Lease):
    """`contracts.Lease` of one node."""

    def __init__(self, registry: NatsRegistry, node_id: str, generation: Generation, life: Life) -> None:
        self._registry, self.node_id, self.generation = registry, node_id, generation
        self.life = msgspec.structs.replace(life, counter=generation.counter)
        self.revision = generation.counter
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._saying, self._due = asyncio.Lock(), asyncio.Event()
        self._cancel: Callable[[], None] | None = registry.spawn(self._beat(), f"heartbeat of {node_id}")

    @property
    def record_key(self) -> str:
        """Where its record is."""
        return f"record.{written(self.node_id)}.{self.life.token}"

    # ---- contracts.Lease ---------------------------------------------------------------------------------------------
    async def update(self, record: NodeRecord) -> None:
        """The record changed. Raises errors.Unavailable when this lease is over, or the servers are away."""
        value = self._registry.packed(record)
        if record.node_id != self.node_id:
            raise Unavailable(f"node {self.node_id} can't speak for node {record.node_id}", executed="not_executed")
        async with self._saying:  # one after the other: the last word stays the last
            self._check()
            await self._registry.run(self._registry.bucket.put(self.record_key, value))
            await self._say()

    async def withdraw(self) -> None:
        """The node leaves; a lease that is over already has nothing to withdraw. Raises errors.Unavailable."""
        if self.is_over:
            return
        async with self._saying:
            try:
                await self._registry.run(self._withdrawn())
            finally:
                self.close()

    async def _withdrawn(self) -> None:
        if await self._is_ours():
            await self._registry.removed(self.node_id, self.revision)

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

    # ---- being connected ---------------------------------------------------------------------------------------------
    def joined(self, line: Line) -> None:
        """There is a connection: listen, so that others see it, and say so."""
        line.send(self._listen)
        line.echo(self._is_heard)

    def _listen(self, client: Connection) -> None:
        if not self.is_over:
            client.subscribe(self._registry.link(self.node_id, self.generation.counter), partial(_here, client))

    def _is_heard(self, cause: str | None) -> None:
        if cause is None:
            self.beat()

    def beat(self) -> None:
        """At once: the node may have been taken for lost."""
        self._due.set()

    # ---- staying known -----------------------------------------------------------------------------------------------
    async def _beat(self) -> None:
        while not self.lost.done():
            await self._until_due()
            try:
                async with self._saying:
                    await self._say()
            except VykedError as error:
                self._registry.log.debug("no heartbeat of node %s: %s", self.node_id, error)

    async def _until_due(self) -> None:
        pause = self._registry.env.timing.heartbeat * (1 - JITTER + 2 * JITTER * self._registry.env.rng.random())
        try:
            async with asyncio.timeout(pause):
                await self._due.wait()
        except TimeoutError:
            pass
        self._due.clear()

    def _check(self) -> None:
        if self.is_over:
            raise Unavailable(f"the lease of node {self.node_id} is over", executed="not_executed")

    async def _say(self) -> None:
        self._check()
        await self._registry.run(self._renewed())
        self._check()

    async def _renewed(self) -> None:
        key, value, bucket = f"life.{written(self.node_id)}", packed(self.life), self._registry.bucket
        try:
            self.revision = await bucket.put(key, value, self.revision)
        except Refused as error:
            if error.number != WRONG_REVISION:
                raise
            if await self._is_ours():  # a beat of our own, whose answer was lost
                self.revision = await bucket.put(key, value, self.revision)

    async def _is_ours(self) -> bool:
        """Does this lease still speak for the node? Where not, it ends."""
        found = await self._registry.bucket.life(self.node_id)
        if found is None:
            self._registry.bucket.forget()
            self.end("unknown")
            return False
        revision, life = found
        if life.token != self.life.token and revision < self.generation.counter:
            # a life of before this one: the bucket has lost its end, and this announcement with it
            self._registry.bucket.forget()
            self.end("anew")
            return False
        if life.token != self.life.token:
            self.end("newer" if life.life == self.life.life else "taken")
            return False
        self.revision = revision
        return True

    # ---- its end -----------------------------------------------------------------------------------------------------
    def end(self, what: str) -> None:
        """It is over, for this reason."""
        if not self.lost.done() and not self.is_over:
            kind, text = _REASONS[what]
            self.lost.set_result(kind(f"node {self.node_id}: {text}"))
            self.close()


def _here(client: Connection, message: Message) -> None:
    if message.answer_to:
        client.publish(message.reply)


_REASONS: dict[str, tuple[type[str], str]] = {
    "anew": (Anew, "the registry started anew, without what it knew"),
    "unknown": (str, "it was removed, since nothing was heard of it for too long or its connection was lost"),
    "newer": (str, "it was announced again"),
    "taken": (Taken, "another process announced this node id"),
}
