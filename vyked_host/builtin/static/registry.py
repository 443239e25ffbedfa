"""A registry without a server: each listed host is dialled and says itself which services it has.

While its channel stands a host is known; when it retires the host is gone and dialled again, with growing pauses. Nobody
is told about this host: the others have it in their lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from ...contracts import (
    Address,
    Change,
    Channel,
    Environment,
    Generation,
    Instance,
    Lease,
    NodeRecord,
    Registry,
    Surface,
)
from ...errors import VykedError
from ...model.report import is_own
from ...routing.backoff import Backoff
from .provider import StaticOptions

REFRESH_S = 5.0
"""Between two looks at whether a host serves something else now."""
_BACKOFF = Backoff(first=0.1, most=10.0, factor=1.6)

Found = tuple[Generation, NodeRecord]


class StaticLease(Lease):
    """A lease that nobody keeps: never lost, nothing to renew."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def update(self, record: NodeRecord) -> None:
        """Nobody to tell: peers are told over their connections."""

    async def withdraw(self) -> None:
        """Nobody to tell: peers see the GOAWAY."""


class StaticRegistry(Registry):
    """`contracts.Registry` over a list of addresses."""

    def __init__(self, options: StaticOptions, env: Environment) -> None:
        self._env, self._uris = env, tuple(dict.fromkeys(uri.rstrip("/") for uri in options.nodes))
        self._epoch, self._counter, self._revision = env.rng.getrandbits(62), 0, 0
        self._found: dict[str, Found] = {}
        self._causes: dict[str, str] = {}
        self._watchers: set[asyncio.Event] = set()
        self._cancels: list[Callable[[], None]] = []
        self._tried: set[str] = set()
        self._closed = False

    async def announce(self, record: NodeRecord) -> Lease:
        """A lease that does nothing."""
        return StaticLease(self._next_generation())

    async def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        """A snapshot once each listed host was tried, and another whenever a listed host comes, goes or serves something else."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        self._begin()
        try:
            while not self._closed and len(self._tried) < len(self._uris):
                changed.clear()
                await changed.wait()
            while not self._closed:
                changed.clear()
                yield self._snapshot(services)
                await changed.wait()
        finally:
            self._watchers.discard(changed)

    async def aclose(self) -> None:
        """Watches end, channels are closed. Idempotent."""
        self._closed = True
        for cancel in self._cancels:
            cancel()
        self._cancels.clear()
        self._tell()

    # ---- following one address -----------------------------------------------------------------------------------------
    def _begin(self) -> None:
        if not self._cancels and not self._closed:
            self._cancels = [self._env.tasks(self._follow(uri), f"static registry {uri}") for uri in self._uris]

    async def _follow(self, uri: str) -> None:
        attempt = 0
        while not self._closed:
            channel = await self._dial(uri)
            if channel is None or channel.node_id == self._env.node_id:
                self._tried.add(uri)
                self._tell()
            began = self._env.clock.now()
            if channel is not None and not await self._stay(uri, channel):
                return
            lasted = (
                self._env.clock.now() - began > _BACKOFF.most
            )  # a host that comes and goes is not dialled in a circle
            attempt = 0 if lasted else attempt + 1
            await self._pause(_BACKOFF.spread(attempt, self._env.rng.random()))

    async def _dial(self, uri: str) -> Channel | None:
        """A channel to `uri`; None: it can't be reached now, which is logged once for each cause."""
        address = Address(transport=uri.partition(":")[0], uri=uri)
        try:
            channel = await self._env.dial(address, self._env.clock.now() + self._env.timing.dial)
        except (VykedError, OSError) as error:
            if self._causes.get(uri) != str(error):
                self._causes[uri] = str(error)
                self._env.log.warning("%s can't be reached, trying again: %s", uri, error)
            return None
        self._causes.pop(uri, None)
        return channel

    async def _stay(self, uri: str, channel: Channel) -> bool:
        """Know the host until its channel retires; False: it is this host itself, not to be dialled again."""
        try:
            if channel.node_id == self._env.node_id:
                return False
            generation = channel.generation or self._next_generation()
            while not channel.retired.done():
                self._know(uri, generation, channel)
                await asyncio.wait({channel.retired}, timeout=REFRESH_S)
            return True
        finally:
            if self._found.pop(uri, None) is not None:
                self._tell()
            await channel.aclose()

    def _know(self, uri: str, generation: Generation, channel: Channel) -> None:
        address = Address(transport=uri.partition(":")[0], uri=uri)
        record = NodeRecord(
            node_id=channel.node_id, namespace=self._env.namespace, addresses=(address,), instances=served(channel.surface)
        )  # fmt: skip
        if self._found.get(uri) != (generation, record):
            self._found[uri] = (generation, record)
            self._tried.add(uri)
            self._tell()

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()
        cancel = self._env.clock.at(self._env.clock.now() + seconds, over.set)
        try:
            await over.wait()
        finally:
            cancel()

    # ---- telling -------------------------------------------------------------------------------------------------------
    def _tell(self) -> None:
        self._revision += 1
        for watcher in self._watchers:
            watcher.set()

    def _snapshot(self, services: frozenset[str] | None) -> Change:
        nodes = merged(self._found.values())
        if services is not None:
            nodes = tuple(each for each in nodes if any(one.service in services for one in each[1].instances))
        return Change(epoch=self._epoch, revision=self._revision, snapshot=True, nodes=nodes)

    def _next_generation(self) -> Generation:
        self._counter += 1
        return Generation(epoch=self._epoch, counter=self._counter)


def served(surface: Surface) -> tuple[Instance, ...]:
    """The services of a surface."""
    found = {
        (each.service, each.version) for each in surface.endpoints if each is not None and not is_own(each.service)
    }
    return tuple(Instance(service=service, version=version, status="active") for service, version in sorted(found))


def merged(found: Iterable[Found]) -> tuple[Found, ...]:
    """One record a node: a host that is listed with two addresses is one host."""
    by_node: dict[str, Found] = {}
    for generation, record in found:
        known = by_node.get(record.node_id)
        by_node[record.node_id] = (generation, record if known is None else _joined(known[1], record))
    return tuple(by_node[node_id] for node_id in sorted(by_node))


def _joined(one: NodeRecord, other: NodeRecord) -> NodeRecord:
    instances = {(each.service, each.version): each for each in (*one.instances, *other.instances)}
    return NodeRecord(
        node_id=one.node_id, namespace=one.namespace, addresses=(*one.addresses, *other.addresses),
        instances=tuple(instances[key] for key in sorted(instances)), labels=one.labels,
    )  # fmt: skip
