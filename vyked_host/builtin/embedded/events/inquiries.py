"""What nodes and people ask the holder of the hub about its groups."""

from __future__ import annotations

import msgspec

from ....contracts import Environment, GroupLag
from ....errors import NotSupported, ServiceError
from ....service.base import Service
from ....service.decorators import api
from . import census
from .broker import Broker
from .entry import Store
from .estate import dead_letters
from .journal import Journal
from .letters import BATCH_BYTES, DeadLetter
from .parcel import Topic


class Moving(ServiceError, code="moving", status=503):
    """This holder gives up the hub: ask the next one."""


Page = list[tuple[int, bytes]] | None
"""(number, event) of some events in a row; None: they are numbered in another file."""


class Begun(msgspec.Struct, array_like=True, frozen=True):
    """A replay begins after this number, in the file at this place; or why it can't."""

    after: int = 0
    place: str = ""
    refused: str = ""


class Inquiries(Service):
    """The part of the desk that answers them."""

    broker: Broker
    store: Store
    _env: Environment

    async def ready(self) -> None:
        """Until what was kept is there. Raises Moving."""
        raise NotImplementedError

    # ---- the past ------------------------------------------------------------------------------------------------------
    @api(raises=[Moving])
    async def begin(self, service: str, major: int, name: str, since: str) -> Begun:
        """Where a replay begins (routing.since)."""
        await self.ready()
        if not isinstance(self.store, Journal) or not self.store.keeps_past:
            return Begun(refused="the holder of the hub keeps nothing for replay: [pubsub.embedded] path and keep")
        try:
            return Begun(await self.store.begin(Topic(service, major, name), since), self.store.place)
        except NotSupported as error:
            return Begun(refused=str(error))

    @api(raises=[Moving])
    async def past(
        self, service: str, major: int, name: str, place: str, after: int
    ) -> Page:  # fmt: skip
        """(number, event) of what follows `after`, as many as go at once; None: they are numbered in another file."""
        await self.ready()
        if not isinstance(self.store, Journal) or not self.store.keeps_past or self.store.place != place:
            return None
        found, size = list[tuple[int, bytes]](), 0
        for number, packed in await self.store.past(Topic(service, major, name), after):
            size += len(packed)
            if found and size > BATCH_BYTES:
                break
            found.append((number, packed))
        return found

    # ---- groups --------------------------------------------------------------------------------------------------------
    @api
    def groups(self, service: str, major: int, name: str) -> list[tuple[str, int, int]]:
        """(group, members, events that wait) of one topic."""
        return census.known_groups(self.broker, Topic(service, major, name))

    @api
    def lag(self, groups: list[str] | None) -> list[GroupLag]:
        """How far each group of any topic is behind; `groups`: those of these names alone."""
        return census.lag(self.broker, self._env.clock.unix(), groups)

    @api
    def dead(self, service: str, major: int, name: str, group: str, after: int) -> list[DeadLetter]:
        """Dead letters of a group, oldest first, without the first `after` ones: as many as fit in a batch."""
        return dead_letters(self.broker, Topic(service, major, name), group, after)

    @api
    def letterboxes(self) -> list[tuple[str, int, str, str, int]]:
        """(service, major, event, group, dead letters) of each group that has any."""
        return census.letterboxes(self.broker)

    @api(raises=[Moving])
    async def discard(self, event_id: str, replay: bool, group: str | None) -> bool:
        """Forget a dead letter, or put it back; False: there is none."""
        await self.ready()
        return self.broker.discard(event_id, replay=replay, group=group)
