"""What a bus on JetStream is asked beside its work: dead letters, how far groups are behind, and their end."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator

from vyked_host.contracts import DeadLetters, EndsGroups, Event, GroupLag, KnowsGroups, KnowsLag, Subscription

from .ending import Ending
from .groups import Groups
from .letters import Letters
from .member import Member
from .names import Names, Topic
from .queues import Queues


class Asking(DeadLetters, KnowsGroups, KnowsLag, EndsGroups):
    """Mixed into the bus."""

    names: Names
    letters: Letters
    _members: list[Member]
    _groups: Groups
    _queues: Queues
    _ending: Ending

    @abstractmethod
    def begin(self) -> None:
        """From now on there shall be connections."""

    async def letterboxes(self) -> list[tuple[Subscription, int]]:
        """Each group of any topic that has dead letters, and how many. Raises Unavailable, Refused."""
        await self._told()
        return await self.letters.letterboxes()

    async def dead(self, subscription: Subscription) -> AsyncIterator[tuple[Event, str, int]]:
        """(event, cause, deliveries) of each dead letter of the group, oldest first. Raises Unavailable, Refused."""
        await self._told()
        topic = Topic(subscription.service, subscription.major, subscription.name)
        async for each in self.letters.events(self.names.dead(topic, str(subscription.group))):
            yield each

    async def discard(self, event_id: str, *, replay: bool, group: str | None = None) -> None:
        """Forget a dead letter, or put it back with its count at 0, in every group or in that one. Raises KeyError when there is
        none, Unavailable, Refused."""
        await self._told()
        await self.letters.discard(event_id, replay=replay, group=group)

    async def _told(self) -> None:
        """What handlers of this host gave up on so far has arrived where dead letters are."""
        self.begin()
        await asyncio.gather(*(member.settled() for member in self._members))

    async def groups(self, service: str, major: int, name: str) -> list[tuple[str, int, int]]:
        """(group, members that have room, at least 1 where one has events in hand; events that wait) of each group of one topic.
        Raises Unavailable, Refused."""
        self.begin()
        return await self._groups.of(Topic(service, major, name))

    async def lag(self, groups: frozenset[str] | None = None) -> list[GroupLag]:
        """How far each group of any topic is behind, or each of these names. What other hosts hold back for a while counts as in
        flight, for the server does not tell it apart; what this one does as waiting. Raises Unavailable, Refused."""
        await self._told()
        held: Counter[tuple[Topic, str]] = Counter()
        for member in self._members:
            held[member.topic, member.group] += member.held
        return await self._groups.lag(groups, held)

    async def end_group(self, service: str, major: int, name: str, group: str) -> int:
        """Forget a group without members: how many events it had. Raises KeyError when there is none, NotSupported while it has
        members, also such as stand still, Unavailable, Refused."""
        await self._told()
        events = await self._ending.end(Topic(service, major, name), group)
        self._queues.forget()
        return events
