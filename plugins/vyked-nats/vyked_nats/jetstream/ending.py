"""The end of a group: its consumer, what waits for it alone, and its dead letters. What it shares with other groups stays for these."""

from __future__ import annotations

from vyked_host import NotSupported
from vyked_host.contracts import is_queue

from .api import NO_CONSUMER, Api, Refused
from .groups import behind
from .letters import Letters
from .names import Names, Topic, consumer_of, consumer_of_later
from .presence import Presence


class Ending:
    """Raises what Api raises."""

    def __init__(self, api: Api, names: Names, letters: Letters, presence: Presence) -> None:
        self._api, self._names, self._letters, self._presence = api, names, letters, presence

    async def end(self, topic: Topic, group: str) -> int:
        """How many events the group had. What is left of an end that broke off, or of a consumer that somebody removed, is a group still.
        Raises KeyError when there is none, NotSupported while it has members."""
        consumer, letters = consumer_of(topic, group), self._names.dead(topic, group)
        dead, waiting = (await self._letters.boxes()).get(letters, 0), await self._behind(consumer)
        if waiting is None and not dead:
            raise KeyError(group)
        if await self._presence.is_there(self._names.member(topic, group)):
            raise NotSupported(f"group {group} of {topic} has members: stop those first")
        events = (waiting or 0) + await self._purged(self._names.letters, letters)
        await self._purged(self._names.events, self._names.again(topic, group))
        if is_queue(topic.name):
            events += await self._jobs(topic)
        await self._removed(consumer)  # the last: until then it can be ended again
        return events

    async def _jobs(self, topic: Topic) -> int:
        """A queue has one group: nobody else wants its jobs. Those for later are counted, the others were."""
        later = await self._purged(self._names.events, self._names.later(topic))
        await self._removed(consumer_of_later(topic))
        await self._purged(self._names.events, self._names.kept(topic))
        return later

    async def _behind(self, consumer: str) -> int | None:
        try:
            return behind(await self._api.ask(f"CONSUMER.INFO.{self._names.events}.{consumer}"))
        except Refused as error:
            if error.number != NO_CONSUMER:
                raise
            return None

    async def _purged(self, stream: str, subject: str) -> int:
        return int((await self._api.ask(f"STREAM.PURGE.{stream}", {"filter": subject}))["purged"])

    async def _removed(self, consumer: str) -> None:
        try:
            await self._api.ask(f"CONSUMER.DELETE.{self._names.events}.{consumer}")
        except Refused as error:
            if error.number != NO_CONSUMER:
                raise
