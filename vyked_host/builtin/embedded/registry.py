"""The registry inside one process: `catalog` with a holder.

A lease here can't fall silent without the whole process doing so: it ends by being withdrawn, by a newer announcement of
the same node, or with the registry. Watchers get what they missed as one snapshot, so a slow one costs no memory.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from collections import deque
from collections.abc import AsyncIterator

from ...catalog.query import snapshot, touching
from ...catalog.reduce import reduce
from ...catalog.state import Announced, Granted, Lost, Refused, State, Step, Told, Updated, Withdrawn
from ...contracts import Change, Environment, Generation, Lease, NodeRecord, Registry
from ...errors import Unavailable

BEHIND = 64
"""Changes that wait for one watcher; with more it gets a snapshot instead."""


class EmbeddedLease:
    """`contracts.Lease` of one node."""

    def __init__(self, registry: EmbeddedRegistry, generation: Generation, node_id: str) -> None:
        self._registry, self._node_id = registry, node_id
        self.generation = generation
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def update(self, record: NodeRecord) -> None:
        """The record changed. Raises errors.Unavailable when this lease is over."""
        self._registry.step(Updated(generation=self.generation, record=record))

    async def withdraw(self) -> None:
        """The node leaves; a lease that is over already has nothing to withdraw."""
        self._registry.forget(Withdrawn(node_id=self._node_id, generation=self.generation))


class Watcher:
    """One watch: a snapshot, then deltas; whoever falls behind gets a snapshot again."""

    def __init__(self, registry: EmbeddedRegistry, services: frozenset[str] | None) -> None:
        self._registry, self._services = registry, services
        self._known: frozenset[str] = frozenset()
        self._waiting: deque[Change] = deque()
        self._behind, self._closed = True, False
        self._wake = asyncio.Event()
        self._wake.set()

    def tell(self, change: Change) -> None:
        """One more change; never blocks."""
        if self._behind:
            return
        self._waiting.append(change)
        if len(self._waiting) > BEHIND:
            self._waiting.clear()
            self._behind = True
        self._wake.set()

    def close(self) -> None:
        """The watch ends after what waits."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        while True:
            found = self._next()
            if found is not None:
                return found
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    async def aclose(self) -> None:
        """Stop watching. Idempotent."""
        self._registry.unwatch(self)
        self._waiting.clear()
        self._behind = False
        self.close()

    def _next(self) -> Change | None:
        if self._behind:
            self._behind = False
            return self._visible(snapshot(self._registry.state))
        while self._waiting:
            found = self._visible(self._waiting.popleft())
            if found.nodes or found.gone:
                return found
        return None

    def _visible(self, change: Change) -> Change:
        """`change` without what this watch is not about. A node that drops a watched service is told once more."""
        if self._services is None:
            return change
        before = frozenset() if change.snapshot else self._known
        nodes = touching(change, self._services, before)
        gone = tuple(node_id for node_id in change.gone if node_id in before)
        still = {record.node_id for _, record in touching(change, self._services)}
        touched = {record.node_id for _, record in change.nodes} | set(gone)
        self._known = (before - touched) | still
        return Change(epoch=change.epoch, revision=change.revision, snapshot=change.snapshot, nodes=nodes, gone=gone)


class EmbeddedRegistry(Registry):
    """`contracts.Registry` of one process and one mesh."""

    def __init__(self, env: Environment) -> None:
        self._clock = env.clock
        self.state = State(namespace=env.namespace, epoch=env.rng.getrandbits(62), lease_s=math.inf)
        self._leases: dict[Generation, EmbeddedLease] = {}
        self._watchers: weakref.WeakSet[Watcher] = weakref.WeakSet()  # a watch that nobody holds any more is over
        self._closed = False

    async def announce(self, record: NodeRecord) -> Lease:
        """Make `record` known. Raises errors.Unavailable when the registry is closed or of another mesh."""
        generation = self.step(Announced(record=record))
        lease = self._leases[generation] = EmbeddedLease(self, generation, record.node_id)
        return lease

    def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        """A snapshot first, then what changes; ends when the registry is closed."""
        watcher = Watcher(self, services)
        if self._closed:
            watcher.close()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """`watcher` wants to be told nothing more."""
        self._watchers.discard(watcher)

    async def aclose(self) -> None:
        """Watches end, leases are no longer kept. Idempotent."""
        self._closed = True
        self._leases.clear()
        for watcher in list(self._watchers):
            watcher.close()

    def step(self, step: Announced | Updated) -> Generation:
        """Carry out `step`; the generation that was granted. Raises errors.Unavailable when it was refused."""
        if self._closed:
            raise Unavailable("the registry of this process is closed", executed="not_executed")
        outcome = self._carry_out(step)
        if isinstance(outcome, Refused):
            raise Unavailable(outcome.reason, executed="not_executed")
        return outcome.generation

    def forget(self, step: Withdrawn) -> None:
        """A node leaves. One that is not known any more has left already."""
        self._leases.pop(step.generation, None)
        if not self._closed:
            self.state, effects = reduce(self.state, step, self._clock.now())
            self._tell(effects)

    def _carry_out(self, step: Step) -> Granted | Refused:
        self.state, effects = reduce(self.state, step, self._clock.now())
        self._tell(effects)
        return next(effect for effect in effects if isinstance(effect, Granted | Refused))

    def _tell(self, effects: tuple[object, ...]) -> None:
        for effect in effects:
            if isinstance(effect, Told):
                for watcher in list(self._watchers):
                    watcher.tell(effect.change)
            elif isinstance(effect, Lost):
                self._lose(effect)

    def _lose(self, effect: Lost) -> None:
        lease = self._leases.pop(effect.generation, None)
        if lease is not None and not lease.lost.done():
            lease.lost.set_result(effect.reason)
