"""`[registry] use = "classic"`: this host as one of the services of an old registry.

Each service of the host registers as Vyked 2.x did, over a connection of its own, and what the registry tells them is the view of
the host. The registry may be one of Vyked 2.x or the listener of this plugin.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from vyked_host.contracts import Address, Change, Environment, Generation, Instance, Lease, NodeRecord, Registry, parse

from .address import TRANSPORT, read
from .contexts import over_https, secured
from .known import Known
from .options import RegistryOptions
from .upstream import Entry, Registration
from .wire.packets import Packet
from .wire.speech import Fields

HTTP = "http"


def short(version: str) -> str:
    """A version as people wrote them for Vyked 2.x: 1 for 1.0.0, 1.2 for 1.2.0."""
    return version.removesuffix(".0").removesuffix(".0") if version.count(".") == 2 else version


class ClassicLease(Lease):
    """Kept by the registrations; never lost, because each of them registers anew by itself."""

    def __init__(self, registry: ClassicRegistry, generation: Generation) -> None:
        self._registry, self.generation = registry, generation
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def update(self, record: NodeRecord) -> None:
        """The record changed: services that are new are registered, those that are gone are not any more."""
        await self._registry.tell(record)

    async def withdraw(self) -> None:
        """The node leaves."""
        await self._registry.withdraw()


class ClassicRegistry(Registry):
    """`contracts.Registry`."""

    def __init__(self, options: RegistryOptions, env: Environment) -> None:
        self._options, self._env = options, env
        self._known = Known(env.namespace, secured(env.tls), over_https(env.tls))
        self._record: NodeRecord | None = None
        self._generation = Generation(epoch=env.rng.getrandbits(62), counter=1)
        self._revision = 0
        self._registrations: dict[tuple[str, str, str], Registration] = {}
        self._watchers: set[asyncio.Event] = set()
        self._wishes: dict[tuple[str, int], list[Fields]] = {}
        self._cancels: list[Callable[[], None]] = []
        self._closed = False

    # ---- contracts.Registry ------------------------------------------------------------------------------------------
    async def announce(self, record: NodeRecord) -> Lease:
        """Register each service of `record`, as soon as the registry can be reached: that is not waited for."""
        await self.tell(record)
        return ClassicLease(self, self._generation)

    async def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        """What the registry has told so far, and again after each change of it."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while not self._closed:
                changed.clear()
                yield self._snapshot(services)
                await changed.wait()
        finally:
            self._watchers.discard(changed)

    async def aclose(self) -> None:
        """Watches end, connections are closed. Idempotent."""
        self._closed = True
        await self.withdraw()
        for cancel in self._cancels:
            cancel()
        self._tell_watchers()

    # ---- this host at the registry -----------------------------------------------------------------------------------
    async def tell(self, record: NodeRecord) -> None:
        """Register what is new in `record`, and end what is not in it any more."""
        self._record = record
        wanted = {(entry.name, entry.version, entry.kind): entry for entry in self._entries(record)}
        for key in self._registrations.keys() - wanted.keys():
            await self._registrations.pop(key).aclose(says_so=True)
        self._known.own = {entry.node_id for entry in wanted.values()}
        for key, entry in wanted.items():
            if key not in self._registrations:
                self._registrations[key] = self._registration(entry)
        self._tell_watchers()

    def _registration(self, entry: Entry) -> Registration:
        # outside of whatever call runs now: its deadline and metadata are not those of the registry
        made = contextvars.Context().run(Registration, entry, self._options, self._env, self._heard)
        key = (entry.name, parse(entry.version).major)
        if entry.node_id == self.id_of(*key):
            made.wishes = self._wishes.setdefault(key, [])
        return made

    async def withdraw(self) -> None:
        """None of the services is there any more."""
        registrations, self._registrations = list(self._registrations.values()), {}
        for each in registrations:
            await each.aclose(says_so=True)

    def _entries(self, record: NodeRecord) -> Iterator[Entry]:
        places = dict(_places(record.addresses))
        for each in record.instances:
            kinds: Sequence[str] = self._options.kinds.get(each.service) or ("tcp" if "tcp" in places else HTTP,)
            for at, kind in enumerate(each for each in kinds if each in places):
                yield self._entry(each, kind, *places[kind], first=not at)

    def id_of(self, service: str, major: int, kind: str = "") -> str:
        """The id under which a service of this host is known: 8 hexadecimal digits, as they had, and the same after a lost
        connection. `kind`: of its second registration, where it has one over tcp and one over http."""
        return sha256(f"{self._env.node_id}/{service}/{major}/{kind}".encode()).hexdigest()[:8]

    def _entry(self, instance: Instance, kind: str, host: str, port: int, *, first: bool) -> Entry:
        name, version = instance.service, self.spelt(instance.service, instance.version)
        own = self.id_of(name, parse(version).major, "" if first else kind)
        needs = tuple((each, self.spelt(each, "1")) for each in instance.requires)
        return Entry(name, version, host, port, own, needs, kind)

    def spelt(self, service: str, version: str) -> str:
        """A version as it stands on the wire."""
        return self._options.versions.get(service) or short(version)

    # ---- events ------------------------------------------------------------------------------------------------------
    def wish(self, consumer: str, major: int, event: Fields) -> None:
        """One xsubscription of a service of this host, told with its next registration."""
        wishes = self._wishes.setdefault((consumer, major), [])
        if event not in wishes:
            wishes.append(event)

    def registration_of(self, service: str) -> Registration | None:
        """The registration that speaks for a service of this host."""
        found = [each for each in self._registrations.values() if each.entry.name == service]
        return min(found, key=lambda each: each.entry.kind == HTTP, default=None)

    # ---- what the registry says --------------------------------------------------------------------------------------
    def _heard(self, _registration: Registration, packet: Packet, params: Any) -> None:
        known = self._known
        if packet.type == "registered":
            missing = known.registered(params)
            if missing:
                self._cancels.append(
                    self._env.clock.expire(self._env.clock.now() + self._suspect_s, lambda: self._forget(missing))
                )
        elif packet.type == "new_instance":
            known.came(params)
        elif packet.type == "deregister":
            known.went(params)
        for fault in known.faults:
            self._env.log.warning("%s", fault)
        known.faults.clear()
        self._tell_watchers()

    @property
    def _suspect_s(self) -> float:
        """How long those stay that a registry, started anew, has not told of: others come back to it within two leases."""
        return 2 * self._env.timing.lease

    def _forget(self, keys: list[tuple[str, str, str]]) -> None:
        if self._known.forget(keys):
            self._tell_watchers()

    def _tell_watchers(self) -> None:
        self._revision += 1
        for watcher in self._watchers:
            watcher.set()

    def _snapshot(self, services: frozenset[str] | None) -> Change:
        records, doubts = self._known.nodes()
        if self._record is not None:
            records = [*records, self._record]
        if services is not None:
            records = [each for each in records if any(one.service in services for one in each.instances)]
        nodes = tuple((self._generation, each) for each in records)
        told = {node_id: doubt for node_id, doubt in doubts.items() if any(each.node_id == node_id for each in records)}
        return Change(epoch=self._generation.epoch, revision=self._revision, snapshot=True, nodes=nodes, doubts=told)


def _places(addresses: tuple[Address, ...]) -> Iterator[tuple[str, tuple[str, int]]]:
    """Kind of registration -> where."""
    for address in addresses:
        if address.transport == TRANSPORT:
            at = read(address.uri)
            yield "tcp", (at.host, at.port)
        elif address.transport == HTTP:
            split = urlsplit(address.uri)
            yield HTTP, (split.hostname or "127.0.0.1", split.port or 80)
