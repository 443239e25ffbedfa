"""This node's place in the mesh: its record in the registry, its view of the others, and which of its services are active.

Each node judges activation from its own watch: a service is active while each required dependency has an active compatible
instance. Before it has been active once it takes no calls; losing a dependency later degrades it and stops nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ..catalog.dependencies import activation
from ..contracts import Lease, Registry
from ..errors import VykedError
from ..model.description import ServiceDescription
from ..model.topology import Address, Change, Generation, Instance, NodeRecord, Status
from ..routing.backoff import Backoff
from .directory import Directory
from .dispatcher import Dispatcher
from .hosted import Hosted
from .tasks import TaskScope

_AGAIN = Backoff(first=0.1, most=10.0, factor=1.6)


class Membership:
    """One node in one mesh."""

    def __init__(
        self, *, record: NodeRecord, registry: Registry, directory: Directory, dispatcher: Dispatcher,
        hosted: Sequence[Hosted], tasks: TaskScope, log: logging.Logger, first_s: float,
    ) -> None:  # fmt: skip
        self.record = record
        self._registry, self._directory, self._dispatcher = registry, directory, dispatcher
        self._hosted, self._tasks, self._log = hosted, tasks, log
        self._lease: Lease | None = None
        self._cancel_watch: Callable[[], None] = _nothing
        self._cancel_announcing: Callable[[], None] = _nothing
        self._leaving = False
        self._first_s, self._seen = first_s, asyncio.Event()
        self.missing: dict[str, tuple[str, ...]] = {}

    def generation(self) -> Generation | None:
        """This life of the node, once it is announced."""
        return self._lease.generation if self._lease is not None else None

    # ---- joining ---------------------------------------------------------------------------------------------------
    async def join(self, addresses: tuple[Address, ...]) -> None:
        """Announce this node with its services waiting, follow the others, activate what can be."""
        self.record = msgspec.structs.replace(self.record, addresses=addresses, instances=self._instances({}))
        self._directory.set_home(self.record)
        self._lease = await self._registry.announce(self.record)
        self._lease.lost.add_done_callback(lambda lost: None if lost.cancelled() else self._lost(lost.result()))
        await self._judge()
        self._cancel_watch = self._tasks(self._watch(), "registry watch")
        with contextlib.suppress(TimeoutError):  # a registry that is away: start with what is known, as after its loss
            async with asyncio.timeout(self._first_s):
                await self._seen.wait()

    def _lost(self, reason: str) -> None:
        if not self._leaving:
            self._log.warning("the lease of this node is lost (%s): announcing again", reason)
            self._cancel_announcing = self._tasks(self._announce_again(), "announce again")

    async def _announce_again(self) -> None:
        attempt = 0
        while True:
            try:
                self._lease = await self._registry.announce(self.record)
            except VykedError as error:
                self._log.warning("the registry can't be reached: %s", error)
                attempt += 1
                await asyncio.sleep(_AGAIN.delay(attempt, random.random()))
            else:
                self._lease.lost.add_done_callback(lambda lost: None if lost.cancelled() else self._lost(lost.result()))
                return

    async def _watch(self) -> None:
        attempt = 0
        while True:
            try:
                async for change in self._registry.watch(None):
                    await self._take_in(change)
                    attempt = 0
            except Exception as error:  # noqa: BLE001 - without its watch a node would be blind for ever
                self._log.error("the watch of the registry failed and is begun again", exc_info=error)
            else:
                return  # the registry was closed
            attempt += 1
            await asyncio.sleep(_AGAIN.delay(attempt, random.random()))

    async def _take_in(self, change: Change) -> None:
        for link in self._directory.apply(change):
            self._tasks(link.leave(), "leave link")
        await self._judge()
        self._seen.set()

    # ---- activation ------------------------------------------------------------------------------------------------
    async def _judge(self) -> None:
        """What each service of this node may be now."""
        if self._leaving:
            return
        others = [node for node_id, node in self._directory.nodes.items() if node_id != self.record.node_id]
        active = {each.name for each in self._hosted if each.was_active}
        judged = activation(joined(each.description for each in self._hosted), others, active)
        before, self.missing = self.missing, {name: found.missing for name, found in judged.items()}
        statuses: dict[str, Status] = {name: found.status for name, found in judged.items()}
        instances = self._instances(statuses)
        if instances != self.record.instances:
            await self._publish(instances)
        for hosted in self._hosted:
            await self._turned(hosted, statuses[hosted.name], before.get(hosted.name))

    async def _publish(self, instances: tuple[Instance, ...]) -> None:
        self.record = msgspec.structs.replace(self.record, instances=instances)
        self._directory.set_home(self.record)
        if self._lease is not None:
            try:
                await self._lease.update(self.record)
            except VykedError as error:
                self._log.warning("the registry could not be told of a change: %s", error)

    async def _turned(self, hosted: Hosted, status: Status, before: tuple[str, ...] | None) -> None:
        lacking = self.missing[hosted.name]
        if status == "waiting":
            self._close(hosted.name, f"{hosted.name} waits for {', '.join(lacking)}")
        elif not hosted.was_active:
            self._open(hosted.name)
            self._log.info("%s is active", hosted.name)
            await hosted.activate()
        elif lacking and not before:
            self._log.warning("%s lacks %s", hosted.name, ", ".join(lacking))
            await hosted.deactivate(lacking)
        elif before and not lacking:
            self._log.info("%s has all it needs again", hosted.name)
            await hosted.activate()

    def _open(self, service: str) -> None:
        for route in self._dispatcher.routes:
            if route.endpoint.service == service:
                route.open, route.closed_reason = True, ""

    def _close(self, service: str, reason: str) -> None:
        for route in self._dispatcher.routes:
            if route.endpoint.service == service and route.endpoint.lane == "normal":
                route.open, route.closed_reason = False, reason

    def _instances(self, statuses: dict[str, Status]) -> tuple[Instance, ...]:
        return tuple(
            Instance(
                service=each.name,
                version=each.version,
                status=statuses.get(each.name, "waiting"),
                requires=tuple(need.service for need in each.dependencies if need.required),
            )
            for each in joined(hosted.description for hosted in self._hosted)
        )

    # ---- leaving ---------------------------------------------------------------------------------------------------
    async def leave(self) -> None:
        """Withdraw: the others stop routing here at once."""
        self._leaving = True
        self._cancel_watch()
        self._cancel_announcing()
        if self._lease is not None:
            try:
                await self._lease.withdraw()
            except VykedError as error:
                self._log.warning("could not withdraw from the registry: %s", error)
            self._lease = None

    @property
    def is_watched(self) -> bool:
        """Does anybody else route calls here?"""
        return bool(self._hosted) and len(self._directory.nodes) > 1


def joined(descriptions: Iterable[ServiceDescription]) -> list[ServiceDescription]:
    """One description for each name and version: two objects that share them (Vyked 2.x: TCP and HTTP) are one instance."""
    found: dict[tuple[str, str], ServiceDescription] = {}
    for each in descriptions:
        known = found.get((each.name, each.version))
        needs = (*known.dependencies, *each.dependencies) if known else each.dependencies
        found[each.name, each.version] = msgspec.structs.replace(each, dependencies=needs)
    return list(found.values())


def _nothing() -> None:
    """No watch to cancel yet."""
