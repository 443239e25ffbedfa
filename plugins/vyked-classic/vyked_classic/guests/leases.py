"""Guests in the registry of the mesh: each is announced as a node of its own, on its behalf, for as long as it is here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from vyked_host import VykedError
from vyked_host.contracts import Anew, Backoff, Environment, Lease, NodeRecord, Registry

AGAIN = Backoff(first=0.1, most=10.0, factor=1.6)


class Leases:
    """`keep` says who is to be announced; one task sees to it, in order, and again when a lease is lost."""

    def __init__(self, registry: Registry, env: Environment) -> None:
        self._registry, self._env = registry, env
        self._wanted: Mapping[str, NodeRecord] = {}
        self._leases: dict[str, Lease] = {}
        self._told: dict[str, NodeRecord] = {}
        self._changed, self._over = asyncio.Event(), asyncio.Event()
        self._cancel: Callable[[], None] | None = None

    def keep(self, records: Mapping[str, NodeRecord]) -> None:
        """These, and no others, from now on."""
        self._wanted = records
        self._changed.set()
        if self._cancel is None:
            self._cancel = self._env.tasks(self._run(), "guests in the registry")

    async def aclose(self) -> None:
        """None of them is here any more."""
        if self._cancel is not None:
            self._cancel()
            await self._over.wait()
        for node_id in list(self._leases):
            await self._withdraw(node_id)

    async def _run(self) -> None:
        attempt = 0
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if await self._reconcile():
                    attempt = 0
                    continue
                await asyncio.sleep(AGAIN.delay(attempt, self._env.rng.random()) * min(1.0, self._env.timing.scale))
                attempt += 1
                self._changed.set()
        finally:
            self._over.set()

    async def _reconcile(self) -> bool:
        """Announce, update and withdraw. False: something could not be said, and has to be tried again."""
        well = True
        for node_id in self._leases.keys() - self._wanted.keys():
            await self._withdraw(node_id)
        for node_id, record in list(self._wanted.items()):
            if self._told.get(node_id) != record:
                well = await self._say(node_id, record) and well
        return well

    async def _say(self, node_id: str, record: NodeRecord) -> bool:
        lease = self._leases.get(node_id)
        try:
            if lease is None:
                lease = self._leases[node_id] = await self._registry.announce(record)
                lease.lost.add_done_callback(lambda lost: self._lost(node_id, lost))
            else:
                await lease.update(record)
        except VykedError as error:
            self._env.log.warning("%s of Vyked 2.x could not be announced yet: %s", record.instances[0].service, error)
            return False
        self._told[node_id] = record
        return True

    def _lost(self, node_id: str, lost: asyncio.Future[str]) -> None:
        if lost.cancelled() or self._leases.pop(node_id, None) is None:
            return
        self._told.pop(node_id, None)
        if not isinstance(lost.result(), Anew):
            self._env.log.warning("the lease of guest %s is lost (%s): announcing it again", node_id, lost.result())
        self._changed.set()

    async def _withdraw(self, node_id: str) -> None:
        lease = self._leases.pop(node_id, None)
        self._told.pop(node_id, None)
        if lease is not None:
            try:
                await lease.withdraw()
            except VykedError as error:
                self._env.log.warning("guest %s could not be withdrawn: %s", node_id, error)
