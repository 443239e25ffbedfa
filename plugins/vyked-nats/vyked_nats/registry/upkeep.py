"""What time does to a registry: who is silent is doubted, who is cut off is said to be, and who is gone for long enough is removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from vyked_host import CallError, Unavailable
from vyked_host.contracts import Departing

from ..jetstream.api import Refused
from .bucket import WRONG_REVISION, written
from .probes import Probes
from .reading import Reading

if TYPE_CHECKING:
    from .registry import NatsRegistry

JITTER = 0.1


class Upkeep:
    """Of one host's registry."""

    def __init__(self, registry: NatsRegistry, reading: Reading) -> None:
        self._registry, self._reading, self._env = registry, reading, registry.env
        self.probes = Probes(registry.env, registry.link, self._unheard)
        self._removing: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._env.timing.sweep * (1 - JITTER * self._env.rng.random()))
            try:
                self._sweep()
            except Exception:
                self._env.log.exception("a look at the registry failed; it is looked again")

    def _sweep(self) -> None:
        """Nobody is judged while nothing is heard: of all, or of some yet."""
        view = self._reading.view
        state = view.sightings.state
        if state is None or not self._registry.is_connected or not view.is_complete:
            return
        changes, departing = view.sightings.sweep(self._env.clock.now())
        self._registry.tell(changes)
        for each in departing:
            if each.node_id not in self._removing:
                self._removing.add(each.node_id)
                self._registry.spawn(self._remove(each), "registry removal")
        others = [
            (node_id, each.generation.counter) for node_id, each in state.entries.items()
            if each.down_at is None and node_id not in self._registry.own
        ]  # fmt: skip
        self.probes.ask(others, len(state.entries))
        if self._reading.is_old:
            self._reading.reader.enter_again()

    def _unheard(self, node_id: str, counter: int) -> None:
        self._registry.spawn(self._say_down(node_id, counter), "registry: a node is cut off")

    async def _say_down(self, node_id: str, counter: int) -> None:
        bucket = self._registry.bucket
        try:
            await self._registry.run(bucket.put(f"down.{written(node_id)}", msgspec.msgpack.encode(counter)))
        except Unavailable as error:
            self._env.log.debug("that node %s is cut off could not be said: %s", node_id, error)

    async def _remove(self, each: Departing) -> None:
        try:
            async with asyncio.timeout(self._env.timing.dial):
                await self._registry.removed(each.node_id, each.mark)
        except Refused as error:
            if error.number == WRONG_REVISION and await self._is_unknown(each.node_id):
                self._reading.reader.enter_again()  # it went without our hearing of it
        except (TimeoutError, CallError) as error:
            self._env.log.debug("node %s could not be removed yet: %s", each.node_id, error)
        finally:
            self._removing.discard(each.node_id)

    async def _is_unknown(self, node_id: str) -> bool:
        try:
            return await self._registry.run(self._registry.bucket.life(node_id)) is None
        except Unavailable:
            return False
