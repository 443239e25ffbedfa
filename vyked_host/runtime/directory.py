"""Who serves what, as this host knows it now: candidates for every (service, version) somebody here calls.

Fed by the registry's watch; looked at per call. A look-up never changes it; without the registry the last known stays good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from ..contracts import Balancer
from ..errors import NotFound, Unavailable, VersionMismatch
from ..model.message import Call
from ..model.settings import ClientTable
from ..model.topology import Change, NodeRecord
from ..model.version import compatible, parse
from .links import Link


class Instance:
    """`contracts.Candidate`: one instance that a call may go to."""

    __slots__ = ("ewma_s", "in_flight", "labels", "link", "node_id", "usable", "weight")

    def __init__(self, node_id: str, labels: Mapping[str, str], weight: float, link: Link) -> None:
        self.node_id, self.labels, self.weight, self.link = node_id, labels, weight, link
        self.in_flight, self.ewma_s, self.usable = 0, 0.0, True

    def recover(self) -> None:
        """It may be chosen again."""
        self.usable = True


class Target:
    """The instances of one service that one client may call."""

    def __init__(self, service: str, version: str | None, settings: ClientTable, balancer: Balancer, home: str) -> None:
        self.service, self.version, self.settings = service, version, settings
        self._balancer, self._home = balancer, home
        self._local: Instance | None = None
        self._all: dict[str, Instance] = {}
        self._known: tuple[str, ...] = ()

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The instances that may be called now."""
        return tuple(self._all.values())

    def update(self, nodes: Iterable[NodeRecord], link_of: Callable[[NodeRecord], Link]) -> None:
        """The view changed."""
        found: dict[str, Instance] = {}
        others: list[str] = []
        for node in nodes:
            for each in node.instances:
                if each.service != self.service:
                    continue
                if not compatible(each.version, self.version):
                    others.append(f"{each.version} at {node.node_id}")
                elif each.status != "active":
                    others.append(f"{each.version} at {node.node_id} is {each.status}")
                else:
                    found[node.node_id] = self._instance(node, each.weight, link_of)
        self._known = tuple(others)
        self._all = found
        local = found.get(self._home)
        self._local = local if self.settings.prefer_local else None
        if found:
            self._balancer.update(list(found.values()))

    def _instance(self, node: NodeRecord, weight: float, link_of: Callable[[NodeRecord], Link]) -> Instance:
        """The known one, which knows its load, with what its node says of itself now; or a new one."""
        known = self._all.get(node.node_id)
        if known is None:
            return Instance(node.node_id, node.labels, weight, link_of(node))
        known.labels, known.weight = node.labels, weight
        return known

    def choose(self, call: Call) -> Instance:
        """The instance for `call`. Raises Unavailable, VersionMismatch or NotFound, saying what is known."""
        if self._local is not None:
            return self._local
        if not self._all:
            raise self._absent()
        return self._balancer.choose(call)  # type: ignore[return-value]  # it chooses among what update() gave it

    def named(self, node_id: str) -> Instance:
        """The instance at one node. Raises Unavailable when it is not a candidate."""
        found = self._all.get(node_id)
        if found is None:
            known = ", ".join(self._all) or "none"
            text = f"{self.service} has no instance at {node_id}; it has: {known}"
            raise Unavailable(text, service=self.service, executed="not_sent")
        return found

    def _absent(self) -> Exception:
        wanted = f"{self.service}" + (f" {parse(self.version)}" if self.version else "")
        if not self._known:
            text = f"no instance of {wanted} is known"
            return Unavailable(text, service=self.service, executed="not_sent")
        inactive = [each for each in self._known if " is " in each]
        kind = Unavailable if inactive else VersionMismatch
        text = f"no instance of {wanted} can be called; known: {', '.join(self._known)}"
        return kind(text, service=self.service, executed="not_sent")


class Directory:
    """The view of one host, and everything that follows it."""

    def __init__(self, home: Link) -> None:
        self._home = home
        self.nodes: dict[str, NodeRecord] = {home.record.node_id: home.record}
        self._links: dict[str, Link] = {home.record.node_id: home}
        self._targets: list[Target] = []
        self._dial: Callable[[NodeRecord], Link] | None = None
        self._changed: list[asyncio.Future[None]] = []

    def dial_with(self, link: Callable[[NodeRecord], Link]) -> None:
        """How links to other nodes are made."""
        self._dial = link

    def follow(self, target: Target) -> Target:
        """Keep `target` up to date from now on."""
        self._targets.append(target)
        target.update(self.nodes.values(), self._link_of)
        return target

    def set_home(self, record: NodeRecord) -> None:
        """What this node says of itself changed."""
        self._home.record = record
        self.nodes[record.node_id] = record
        self._refresh()

    def apply(self, change: Change) -> list[Link]:
        """Take in a change; returns links to nodes that are gone, for the caller to close."""
        home = self._home.record
        if change.snapshot:
            self.nodes = {}
        for _, record in change.nodes:
            self.nodes[record.node_id] = record
        for node_id in change.gone:
            self.nodes.pop(node_id, None)
        self.nodes[home.node_id] = home
        gone = [link for node_id, link in self._links.items() if node_id not in self.nodes]
        self._links = {node_id: link for node_id, link in self._links.items() if node_id in self.nodes}
        for node_id, link in self._links.items():
            link.record = self.nodes[node_id]
        self._refresh()
        return gone

    async def change(self) -> None:
        """Wait for the next change."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._changed:
                self._changed.remove(waiter)

    def _refresh(self) -> None:
        for target in self._targets:
            target.update(self.nodes.values(), self._link_of)
        waiting, self._changed = self._changed, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _link_of(self, record: NodeRecord) -> Link:
        found = self._links.get(record.node_id)
        if found is None:
            if self._dial is None:
                raise NotFound(f"there is no way to node {record.node_id}")
            found = self._links[record.node_id] = self._dial(record)
        return found

    async def aclose(self) -> None:
        """Close every link. Raises the first failure, once all are closed."""
        closing = (link.aclose() for link in self._links.values())
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
