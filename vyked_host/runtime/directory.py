"""Who serves what, as this host knows it now: candidates for every (service, version) somebody here calls.

Fed by the registry's watch; looked at per call. A look-up never changes it; without the registry the last known stays good,
without a limit of time. A node that is "down" is no candidate; one that is "suspect" is while fewer than half are well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ..catalog.view import Known, View, forget, merge
from ..contracts import Balancer
from ..errors import NotFound, Unavailable, VersionMismatch
from ..model.message import Call
from ..model.settings import ClientTable
from ..model.topology import Change, Doubt, Generation, NodeRecord
from ..model.version import compatible, parse
from .instances import Instance, pardon
from .links import Link
from .warm_up import WarmUp

_NONE: Mapping[str, Doubt] = {}


class Target:
    """The instances of one service that one client may call."""

    def __init__(
        self, service: str, version: str | None, settings: ClientTable, balancer: Balancer, home: str,
        warm_up: WarmUp | None = None,
    ) -> None:  # fmt: skip
        self.service, self.version, self.settings = service, version, settings
        self._balancer, self._home = balancer, home
        self._warm_up = warm_up or WarmUp(0.0, float, float)
        self.near: Instance | None = None
        """That of this node, where calls go to it as they are."""
        self._is_stale = False  # who may be chosen is worked out at the next call, once for all that changed by then
        self._is_plain = False  # nothing but the balancer has to be asked
        self._found: dict[str, Instance] = {}
        self._known: tuple[str, ...] = ()
        self.instances: tuple[Instance, ...] = ()
        """The instances that calls may go to now."""

    def update(
        self, nodes: Iterable[NodeRecord], link_of: Callable[[NodeRecord], Link], doubts: Mapping[str, Doubt] = _NONE
    ) -> None:  # fmt: skip
        """The view changed. `doubts`: node id -> what speaks against it."""
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
                elif doubts.get(node.node_id) == "down":
                    others.append(f"{each.version} at {node.node_id} is down")
                else:
                    found[node.node_id] = self._instance(node, each.weight, link_of)
        for node_id in found.keys() - self._found.keys():
            self._warm_up.begin(node_id)
        self._known, self._found = tuple(others), found
        self.instances = preferred(found, doubts)
        pardon(self.instances)
        self._choose_anew()

    def _choose_anew(self) -> None:
        """Who may be chosen changed: the usable ones, or all while none is, since one of those may be back by now."""
        self._is_stale = self._is_plain = False
        candidates = tuple(each for each in self.instances if each.usable) or self.instances
        home = self._found.get(self._home) if self.settings.prefer_local else None
        self.near = home if home is not None and home.usable else None
        self._warm_up.among(each.node_id for each in candidates)
        if candidates:
            self._balancer.update(candidates)

    def _usability_changed(self, instance: Instance) -> None:
        if self._found.get(instance.node_id) is instance:
            self._is_stale, self._is_plain, self.near = True, False, None
            if instance.usable:
                self._warm_up.begin(instance.node_id)

    def _instance(self, node: NodeRecord, weight: float, link_of: Callable[[NodeRecord], Link]) -> Instance:
        """The known one, which knows its load, with what its node says of itself now; or a new one."""
        known = self._found.get(node.node_id)
        if known is None:
            return Instance(node.node_id, node.labels, weight, link_of(node), self._usability_changed)
        known.labels, known.weight = node.labels, weight
        return known

    def choose(self, call: Call) -> Instance:
        """The instance for `call`. Raises Unavailable, VersionMismatch or NotFound, saying what is known."""
        return self._balancer.choose(call) if self._is_plain else self._chosen(call)  # type: ignore[return-value]  # of update()

    def _chosen(self, call: Call) -> Instance:
        if self._is_stale:
            self._choose_anew()
        if self.near is not None:
            return self.near
        if not self.instances:
            raise self._absent()
        choose: Callable[[Call], Instance] = self._balancer.choose  # type: ignore[assignment]  # among what update() gave it
        if not self._warm_up.is_on:
            self._is_plain = True
        elif call.entity is None:  # what belongs together stays together
            return self._warm_up.choose(partial(choose, call))
        return choose(call)

    def named(self, node_id: str) -> Instance:
        """The instance at one node. Raises Unavailable when it is not a candidate."""
        found = self._found.get(node_id)
        if found is None:
            known = ", ".join(self._found) or "none"
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


def preferred(found: Mapping[str, Instance], doubts: Mapping[str, Doubt]) -> tuple[Instance, ...]:
    """Of instances by node, those to call: the well ones, or all where fewer than half are well. So few can't carry the load of
    all, and it is likelier that the registry is mistaken (the panic threshold of Envoy)."""
    well = tuple(each for node_id, each in found.items() if node_id not in doubts)
    return well if 2 * len(well) >= len(found) else tuple(found.values())


class Directory:
    """The view of one host, and everything that follows it. `warm_up_s`: how long nodes of a registry that is gone stay known,
    as suspect, to one that started anew."""

    def __init__(self, home: Link, warm_up_s: float = 15.0) -> None:
        self._home, self._warm_up_s = home, warm_up_s
        self.view = View()
        self.doubts: Mapping[str, Doubt] = {}
        self.nodes: dict[str, NodeRecord] = {home.record.node_id: home.record}
        """Every node that is not known to be down, and this one."""
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
        target.update(self.known.values(), self._link_of, self.doubts)
        return target

    def set_home(self, record: NodeRecord) -> None:
        """What this node says of itself changed."""
        self._home.record = record
        self.nodes[record.node_id] = record
        self._refresh()

    def recall(self, records: Mapping[str, NodeRecord]) -> None:
        """Begin with what was known before, all of it suspect. Only before anything was heard."""
        life = Generation(epoch=0, counter=0)
        known = {node_id: Known(generation=life, record=each, doubt="suspect") for node_id, each in records.items()}
        self._seen(View(nodes=known))

    def apply(self, change: Change, now: float) -> list[Link]:
        """Take in a change; returns links to nodes that are gone, for the caller to close."""
        return self._seen(merge(self.view, change, now, self._warm_up_s))

    def forget(self, now: float) -> list[Link]:
        """Leave out who was not announced again to a registry that started anew, once the warm-up is over; returns their links.
        `view.forgets_at` says when there is something to do."""
        return self._seen(forget(self.view, now))

    def _seen(self, view: View) -> list[Link]:
        if view is self.view:
            return []
        self.view, home = view, self._home.record
        self.nodes = view.records(without=["down"]) | {home.node_id: home}
        self.doubts = {
            node_id: known.doubt
            for node_id, known in view.nodes.items()
            if known.doubt is not None and node_id != home.node_id
        }
        known = self.known
        gone = [link for node_id, link in self._links.items() if node_id not in known]
        self._links = {node_id: link for node_id, link in self._links.items() if node_id in known}
        for node_id, link in self._links.items():
            link.record, link.generation = known[node_id], self._generation_of(node_id)
        self._refresh()
        return gone

    @property
    def known(self) -> dict[str, NodeRecord]:
        """Every node, also those that are down, and this one."""
        home = self._home.record
        return self.view.records() | {home.node_id: home}

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
            target.update(self.known.values(), self._link_of, self.doubts)
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
            found.generation = self._generation_of(record.node_id)
        return found

    def _generation_of(self, node_id: str) -> Generation | None:
        known = self.view.nodes.get(node_id)
        return known.generation if known is not None else None

    async def aclose(self) -> None:
        """Close every link. Raises the first failure, once all are closed."""
        closing = (link.aclose() for link in self._links.values())
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
