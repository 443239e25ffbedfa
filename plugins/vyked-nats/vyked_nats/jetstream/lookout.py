"""Tells of groups that nobody comes back to: what waits for them can't be taken out of the stream, which grows until it is full."""

from __future__ import annotations

import asyncio

from vyked_host import CallError
from vyked_host.contracts import ABANDONED_S, Abandonment, Environment

from .api import Refused
from .groups import Groups, behind
from .names import Names, Topic, group_of, topic_of
from .presence import Presence

LOOK_S = 60.0
"""Seconds between two looks, before [timing] scale. Hosts look at different moments."""


class Lookout:
    """Of one host."""

    def __init__(self, names: Names, groups: Groups, presence: Presence, env: Environment) -> None:
        self._names, self._groups, self._presence, self._env = names, groups, presence, env
        self._abandonment = Abandonment[tuple[Topic, str]](ABANDONED_S * env.timing.scale)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S * self._env.timing.scale * (0.5 + self._env.rng.random()))
            try:
                await self.look()
            except (Refused, CallError) as error:
                self._env.log.warning("the groups of stream %s were not looked at: %s", self._names.events, error)

    async def look(self) -> None:
        """Once. Raises what Api raises."""
        alone = await self._alone()
        for (topic, group), seconds in self._abandonment.look(alone, self._env.clock.now()):
            self._env.log.warning(
                "nobody of group %s has been there for %.0f s, and %d events of %s wait for it in stream %s: start its service, "
                "or end the group: vyked-host dlq end --topic %s --group %s",
                group, seconds, alone[topic, group], topic, self._names.events, topic, group,
            )  # fmt: skip

    async def _alone(self) -> dict[tuple[Topic, str], int]:
        """How many events wait for each group that has nobody."""
        found: dict[tuple[Topic, str], int] = {}
        for each in await self._groups.consumers():
            topic, waiting = topic_of(each["name"]), behind(each)
            group = None if topic is None else group_of(each["name"], topic)
            if topic is None or group is None or not waiting or int(each["num_waiting"]):
                continue
            # what a member had in hand when it was killed counts at the server as if it was there
            if not await self._presence.is_there(self._names.member(topic, group)):
                found[topic, group] = waiting
        return found
