"""What the groups of a mesh are behind with, as the server counts it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import structs

from vyked_host.contracts import Clock, GroupLag

from .api import NO_MESSAGE, Api, Refused
from .letters import Letters
from .names import Names, Topic, consumer_of_later, group_of, topic_of


class Groups:
    """Raises what Api raises."""

    def __init__(self, api: Api, names: Names, letters: Letters, clock: Clock) -> None:
        self._api, self._names, self._letters, self._clock = api, names, letters, clock

    async def consumers(self) -> list[dict[str, Any]]:
        """All of the stream."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self._api.ask(f"CONSUMER.LIST.{self._names.events}", {"offset": len(found)})
            found += page.get("consumers") or ()
            if not page.get("consumers") or len(found) >= page["total"]:
                return found

    async def of(self, topic: Topic) -> list[tuple[str, int, int]]:
        """(group, members, events that wait or are in hand) of each group of one topic."""
        found = [(group_of(each["name"], topic), each) for each in await self.consumers()]
        return [(group, members(each), behind(each)) for group, each in found if group is not None]

    async def lag(self, groups: frozenset[str] | None, held: Mapping[tuple[Topic, str], int]) -> list[GroupLag]:
        """How far each group is behind, or each of these names. `held`: events that are known to be held back for a while."""
        dead = {self._names.told(subject): count for subject, count in (await self._letters.boxes()).items()}
        found, consumers = [], await self.consumers()
        later = {each["name"]: behind(each) for each in consumers}
        for each in consumers:
            topic = topic_of(each["name"])
            group = None if topic is None else group_of(each["name"], topic)
            if topic is not None and group is not None and (groups is None or group in groups):
                numbers = (held.get((topic, group), 0), dead.get((topic, group), 0))
                lag = await self._behind(each, topic, group, *numbers)
                found.append(structs.replace(lag, waiting=lag.waiting + later.get(consumer_of_later(topic), 0)))
        return found

    async def _behind(self, told: dict[str, Any], topic: Topic, group: str, held: int, dead: int) -> GroupLag:
        in_flight = max(0, int(told["num_ack_pending"]) - held)
        waiting = behind(told) - in_flight
        oldest_s = await self._age(topic, int(told["ack_floor"]["stream_seq"])) if waiting or in_flight else 0.0
        return GroupLag(
            service=topic.service, major=topic.major, name=topic.name, group=group, members=members(told),
            waiting=waiting, in_flight=in_flight, oldest_s=oldest_s, dead=dead,
        )  # fmt: skip

    async def _age(self, topic: Topic, floor: int) -> float:
        """Seconds since the first event after `floor` was published, by the clocks of the server and of this host."""
        body = {"seq": floor + 1, "next_by_subj": self._names.kept(topic)}
        try:
            found = await self._api.ask(f"STREAM.MSG.GET.{self._names.events}", body)
        except Refused as error:
            if error.number != NO_MESSAGE:
                raise
            return 0.0
        return max(0.0, self._clock.unix() - datetime.fromisoformat(found["message"]["time"]).timestamp())


def behind(told: dict[str, Any]) -> int:
    """Events of a consumer that are not settled."""
    return int(told["num_pending"]) + int(told["num_ack_pending"])


def members(told: dict[str, Any]) -> int:
    """Members of a group that wait for events, at least 1 where events are in hand: the server counts no others."""
    return max(int(told["num_waiting"]), min(1, int(told["num_ack_pending"])))
