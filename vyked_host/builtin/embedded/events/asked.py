"""What people ask the holder of the bus about its groups, and decide on them: the part of the desk behind `dlq` and `why event`."""

from __future__ import annotations

from ....errors import ServiceError
from ....service.decorators import api
from .broker import Broker
from .estate import dead_letters
from .groups import HasMembers, discard, end_group, known_groups, letterboxes
from .letters import DeadLetter
from .parcel import Topic


class Moving(ServiceError, code="moving", status=503):
    """This holder gives up the hub: ask the next one."""


class Asked:
    """Of a desk."""

    broker: Broker

    async def ready(self) -> None:
        """Until what was kept is there. Raises Moving."""

    @api
    def dead(self, service: str, major: int, name: str, group: str, after: int) -> list[DeadLetter]:
        """Dead letters of a group, oldest first, without the first `after` ones: as many as fit in a batch."""
        return dead_letters(self.broker, Topic(service, major, name), group, after)

    @api
    def groups(self, service: str, major: int, name: str) -> list[tuple[str, int, int]]:
        """(group, members, events that wait) of one topic."""
        return known_groups(self.broker, Topic(service, major, name))

    @api
    def letterboxes(self) -> list[tuple[str, int, str, str, int]]:
        """(service, major, event, group, dead letters) of each group that has any."""
        return letterboxes(self.broker)

    @api(raises=[Moving])
    async def discard(self, event_id: str, replay: bool, group: str | None) -> bool:
        """Forget a dead letter, or put it back; False: there is none."""
        await self.ready()
        return discard(self.broker, event_id, replay=replay, group=group)

    @api(raises=[Moving, HasMembers])
    async def end(self, service: str, major: int, name: str, group: str) -> int:
        """Forget a group that has no members: how many events it had; -1: there is none. Raises HasMembers."""
        await self.ready()
        try:
            return end_group(self.broker, Topic(service, major, name), group)
        except KeyError:
            return -1
