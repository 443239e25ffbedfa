"""What a node can be asked about the groups of its mesh: it asks the holder of the hub."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ....contracts import DeadLetters, EndsGroups, Environment, Event, GroupLag, KnowsGroups, KnowsLag, Subscription
from ....errors import NotSupported
from .groups import HasMembers
from .links import Link
from .parcel import Topic


class Asking(DeadLetters, KnowsGroups, KnowsLag, EndsGroups):
    """The part of a node's bus that answers."""

    _env: Environment

    async def _linked_within(self, seconds: float) -> Link:
        """The way to the broker. Raises Unavailable; StartError where this host may not join."""
        raise NotImplementedError

    async def groups(self, service: str, major: int, name: str) -> list[tuple[str, int, int]]:
        """(group, members, events that wait) of one topic. Raises CallError."""
        link = await self._linked_within(self._env.timing.dial)
        return await link.groups(Topic(service, major, name))

    async def lag(self, groups: frozenset[str] | None = None) -> list[GroupLag]:
        """How far each group of any topic is behind. Raises CallError."""
        link = await self._linked_within(self._env.timing.dial)
        return await link.lag(groups)

    # ---- dead letters ------------------------------------------------------------------------------------------------
    async def letterboxes(self) -> list[tuple[Subscription, int]]:
        """Each group of any topic that has dead letters, and how many. Raises CallError."""
        link = await self._linked_within(self._env.timing.dial)
        return [
            (Subscription(service=service, major=major, name=name, group=group, member=""), count)
            for service, major, name, group, count in await link.letterboxes()
        ]

    async def dead(self, subscription: Subscription) -> AsyncIterator[tuple[Event, str, int]]:
        """(event, cause, deliveries) of each dead letter of the group, oldest first. Raises CallError."""
        link = await self._linked_within(self._env.timing.dial)
        topic = Topic(subscription.service, subscription.major, subscription.name)
        for each in await link.dead(topic, subscription.group or ""):
            yield each

    async def discard(self, event_id: str, *, replay: bool, group: str | None = None) -> None:
        """Forget a dead letter in every group that has it, or in that one, or put it back. Raises KeyError when there is none,
        CallError."""
        link = await self._linked_within(self._env.timing.dial)
        if not await link.discard(event_id, replay=replay, group=group):
            raise KeyError(event_id)

    async def end_group(self, service: str, major: int, name: str, group: str) -> int:
        """Forget a group without members: how many events it had. Raises KeyError when there is none, NotSupported while it has
        members, CallError."""
        link = await self._linked_within(self._env.timing.dial)
        try:
            ended = await link.end(Topic(service, major, name), group)
        except HasMembers as error:
            raise NotSupported(str(error)) from error
        if ended < 0:
            raise KeyError(group)
        return ended
