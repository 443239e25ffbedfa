"""The registry over NATS: `contracts.Registry` without a process of ours. Every host keeps its own record alive in the bucket, reads what
all others write there, and judges their silence by its own clock."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any, TypeVar

import msgspec

from vyked_host import StartError, Unavailable
from vyked_host.contracts import (
    Change,
    Environment,
    Generation,
    Lease,
    NodeRecord,
    Registry,
    Rules,
    Sightings,
)

from ..jetstream.api import Api, Refused
from ..keeper import Keeper
from ..line import Line
from ..options import RegistryOptions
from ..server import Servers
from .bucket import TABLE as TABLE
from .bucket import Bucket, Life, packed, written
from .lease import NatsLease
from .reading import Reading
from .upkeep import Upkeep
from .view import View
from .watching import Inbox, Watch

RECORD_BYTES = 256 << 10
RECONCILED_S = 60.0
"""Everything is read again after so long, whatever was told of changes."""
MARKED_LEASES = 4.0
"""Leases for which the bucket says that a node is gone, before it says nothing of it."""
JITTER = 0.1
OVER = "the registry is closed: this host stops"
T = TypeVar("T")


class NatsRegistry(Registry):
    """Nodes of one mesh in a bucket of JetStream."""

    def __init__(self, options: RegistryOptions, env: Environment) -> None:
        self.options, self.env, self.log = options, env, env.log
        self.servers = Servers(options, env, TABLE)
        self.api = Api(env.timing.dial)
        self.bucket = Bucket(self.api, f"{options.prefix}_{env.namespace}_nodes", options.replicas, env.rng, env.log)
        self._life, self._announced = env.rng.getrandbits(62), 0
        timing = env.timing
        rules = Rules(
            heartbeat_s=timing.heartbeat, lease_s=timing.lease, gone_after_s=timing.gone_after, sweep_s=timing.sweep
        )  # fmt: skip
        view = View(Sightings(env.namespace, rules), env.clock.now, env.log)
        self._reading = Reading(self.api, self.bucket, view, env, told=self.tell, anew=self._anew, judge=self._judge)
        self._upkeep = Upkeep(self, self._reading)
        self._keeper = Keeper(
            "registry", self.servers, env, joined=self._joined, left=self._left, told=_ignore,
            most_s=min(timing.heartbeat, timing.ping),
        )  # fmt: skip
        self._leases: dict[str, NatsLease] = {}
        self._inboxes: set[Inbox] = set()
        self._stop_sweeping: Callable[[], None] | None = None
        self._closed = False

    # ---- contracts.Registry ------------------------------------------------------------------------------------------
    async def announce(self, record: NodeRecord) -> Lease:
        """Make `record` known. Raises errors.Unavailable when the registry is closed or away."""
        value = self.packed(record)
        self.begin()
        self._announced += 1
        life = Life(1, self._life, f"{self._life:x}-{self._announced}", 0)
        part = written(record.node_id)

        async def announced() -> int:
            await self.bucket.make()
            await self.bucket.put(f"record.{part}.{life.token}", value)
            return await self.bucket.put(f"life.{part}", packed(life))

        counter = await self.run(announced())
        lease = NatsLease(self, record.node_id, Generation(epoch=self.bucket.epoch, counter=counter), life)
        before = self._leases.get(record.node_id)
        if before is not None:
            before.end("newer")
        self._leases[record.node_id] = lease
        if self._keeper.line is not None:
            lease.joined(self._keeper.line)
        return lease

    def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        """A snapshot first, then what changes, until the registry is closed."""
        inbox = Inbox(services, self._snapshot)
        self._inboxes.add(inbox)
        if self._closed:
            inbox.close()
        else:
            self.begin()

        def close() -> None:
            self._inboxes.discard(inbox)
            inbox.close()

        return Watch(inbox, close)

    def _snapshot(self) -> Change | None:
        return self._reading.view.snapshot()

    async def aclose(self) -> None:
        """Watches end, leases are no longer kept. Idempotent."""
        self._closed = True
        if self._stop_sweeping is not None:
            self._stop_sweeping()
        for lease in list(self._leases.values()):
            lease.close()
        for inbox in list(self._inboxes):
            inbox.close()
        self._inboxes.clear()
        self._reading.reader.pause()
        self.api.close()
        await self._keeper.aclose()

    # ---- for leases --------------------------------------------------------------------------------------------------
    def packed(self, record: NodeRecord) -> bytes:
        """`record` as it is kept. Raises errors.Unavailable where it can't be."""
        if record.namespace != self.env.namespace:
            text = f"this registry is of mesh {self.env.namespace!r}, node {record.node_id} is of {record.namespace!r}"
            raise Unavailable(text, executed="not_executed")
        value = msgspec.msgpack.encode(record)
        if len(value) > RECORD_BYTES:
            text = f"the record of node {record.node_id} has {len(value)} bytes, a registry takes {RECORD_BYTES}"
            raise Unavailable(text, executed="not_executed")
        return value

    def link(self, node_id: str, counter: int) -> str:
        """The subject that a node listens to for as long as it is connected."""
        return f"{self.options.prefix}.{self.env.namespace}.link.{written(node_id)}.{counter}"

    def closed(self, lease: NatsLease) -> None:
        """`lease` is over."""
        if self._leases.get(lease.node_id) is lease:
            del self._leases[lease.node_id]

    def spawn(self, body: Coroutine[Any, Any, None], name: str) -> Callable[[], None]:
        """Run `body` outside of whatever call runs now: its deadline and metadata are not those of the registry."""
        return contextvars.Context().run(self.env.tasks, body, name)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, within ``[timing] dial``. Raises errors.Unavailable."""
        if self._closed:
            work.close()
            raise Unavailable(OVER, executed="not_sent")
        limit = self.env.timing.dial
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError:
            away = f"did not answer within {limit:g} s" if self._keeper.line is not None else "is away"
            text = f"the registry at {self.servers.place} {away}: {self._keeper.away}"
            raise Unavailable(text, executed="unknown") from None
        except (Refused, StartError) as error:
            self.bucket.forget()
            raise Unavailable(f"the registry refused: {error}", executed="not_executed") from None

    async def removed(self, node_id: str, revision: int) -> None:
        """The node is gone, if `revision` is the last of its life. Raises what Api raises."""
        part = written(node_id)
        marked = await self.bucket.delete(f"life.{part}", revision)
        await self.bucket.purge(f"record.{part}.*", marked)
        await self.bucket.purge(f"down.{part}", marked)
        self.spawn(self._unmarked(part, marked, self.bucket.epoch), "registry: forget who is gone")

    async def _unmarked(self, part: str, marked: int, epoch: int) -> None:
        await asyncio.sleep(MARKED_LEASES * self.env.timing.lease)
        if self.bucket.epoch != epoch:  # the revision may be of something else now
            return
        try:
            await self.run(self.bucket.purge(f"life.{part}", marked + 1))
        except Unavailable as error:
            self.log.debug("that a node is gone stays in the registry: %s", error)

    # ---- the connection ----------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """From now on there shall be a connection. Idempotent."""
        if self._stop_sweeping is None and not self._closed:
            self._keeper.begin()
            self._stop_sweeping = self.spawn(self._upkeep.run(), "registry sweep")

    def _joined(self, line: Line) -> None:
        self.api.joined(line)
        self._upkeep.probes.joined(line)
        self._reading.reader.joined(line)
        for lease in self._leases.values():
            lease.joined(line)

    def _left(self, cause: str) -> None:
        self.api.left(cause)
        self.bucket.forget()
        self._upkeep.probes.left()
        self._reading.left(cause)

    @property
    def is_connected(self) -> bool:
        """Is there somebody to hear?"""
        return self._keeper.line is not None

    @property
    def own(self) -> Collection[str]:
        """Node ids of the leases that are kept here."""
        return self._leases.keys()

    # ---- what is read ------------------------------------------------------------------------------------------------
    def _anew(self) -> None:
        for inbox in self._inboxes:
            inbox.news.begin()
        for lease in list(self._leases.values()):
            if lease.generation.epoch != self.bucket.epoch:
                lease.end("anew")

    def tell(self, changes: tuple[Change, ...]) -> None:
        """Watchers hear of it."""
        for inbox in self._inboxes:
            for change in changes:
                inbox.news.tell(change)
            inbox.look()

    def _judge(self, node_id: str, kind: str, revision: int) -> None:
        """Is what was said of a node of ours, or not said of it, the end of its lease?"""
        lease = self._leases.get(node_id)
        if lease is None or revision <= lease.generation.counter:
            return
        seen = self._reading.view.lives.get(node_id)
        if kind == "down":
            lease.beat()
        elif seen is None:
            lease.end("unknown")
        elif seen.life.token != lease.life.token and seen.counter > lease.generation.counter:
            lease.end("newer" if seen.life.life == lease.life.life else "taken")


def _ignore(*_args: object) -> None:
    """Nothing to do."""
