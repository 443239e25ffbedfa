"""What piles up in groups, and how it ends: dead letters without number, and groups that nobody comes back to.

A group is there until somebody ends it, also when nobody of it is: what was accepted for it was promised to it. So does NATS with
durable consumers (https://docs.nats.io/nats-concepts/jetstream/consumers, InactiveThreshold is off); Kafka forgets where an empty
group was after offsets.retention.minutes, seven days, without a word to its publishers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ....contracts import Environment
from ....errors import Overloaded, ServiceError
from ....routing.abandonment import ABANDONED_S, Abandonment
from .admission import RETRY_AFTER_S
from .group import GroupQueue
from .parcel import Topic

if TYPE_CHECKING:
    from .broker import Broker


class HasMembers(ServiceError, code="has_members", status=409):
    """A group of somebody."""

    topic: str
    group: str
    members: int

    def __str__(self) -> str:
        return f"group {self.group} of {self.topic} has {self.members} members: stop those first"


LOOK_S = 60.0
"""Between two looks at which groups have nobody ([timing] scale applies)."""


def end_group(broker: Broker, topic: Topic, name: str) -> int:
    """End a group nobody of which is there: how many events it had, which are forgotten. Raises KeyError when there is no such
    group, HasMembers."""
    group = broker.groups[topic][name]
    if group.has_members:
        raise HasMembers(f"{topic}", name, group.members)
    entries = list(group.entries.values())
    for entry in entries:
        group.drop(entry)
        broker.store.forget(entry)
    broker.store.end(group)
    del broker.groups[topic][name]
    broker.revision += 1
    broker.regrouped()
    return len(entries)


def crowded(broker: Broker, topic: Topic, memory: int) -> str:
    """What takes the room of a bus that is full."""
    largest = max(broker.all_groups(), key=lambda group: group.bytes)
    dead = sum(len(group.dead) for group in broker.groups.get(topic, {}).values())
    end = f"vyked-host dlq end --topic {largest.topic} --group {largest.name}"
    nobody = "" if largest.has_members else f", which nobody consumes now (if nobody will: `{end}`)"
    return (
        f"{broker.admission.used} bytes of events wait for their consumers, [pubsub.embedded] memory = {memory}; most of them "
        f"for {largest.name}{nobody}; {dead} of this topic are dead letters: discard or replay them"
    )


class DeadLetterLimit:
    """How many dead letters one topic may have in all its groups. More events of it would only become more of them, so its
    publishers hear of it (their bytes count as `memory` beside)."""

    def __init__(self, most: int, env: Environment) -> None:
        self._most, self._log = most, env.log
        self._told: set[Topic] = set()

    def refusal(self, topic: Topic, groups: dict[str, GroupQueue]) -> Overloaded | None:
        """Why an event of `topic` is not taken, or None."""
        dead = sum(len(group.dead) for group in groups.values())
        if dead < self._most:
            if self._told:
                self._told.discard(topic)
            return None
        text = (
            f"{topic} has {dead} dead letters, [pubsub.embedded] dead_letters = {self._most}: `vyked-host dlq replay` or "
            f"`vyked-host dlq purge`, with --topic {topic}"
        )
        if topic not in self._told:
            self._told.add(topic)
            self._log.error("publishing is refused: %s", text)
        return Overloaded(text, executed="not_executed", retry_after=RETRY_AFTER_S)


class Lookout:
    """Tells of groups that nobody comes back to."""

    def __init__(self, groups: Callable[[], Iterator[GroupQueue]], env: Environment) -> None:
        self._groups, self._clock, self._log = groups, env.clock, env.log
        self._look_s = LOOK_S * env.timing.scale
        self._abandonment = Abandonment[GroupQueue](ABANDONED_S * env.timing.scale)

    async def watch(self) -> None:
        """For as long as the term runs."""
        while True:
            await asyncio.sleep(self._look_s)
            alone = [each for each in self._groups() if each.entries and not each.has_members]
            for group, seconds in self._abandonment.look(alone, self._clock.now()):
                self._tell(group, seconds)

    def _tell(self, group: GroupQueue, seconds: float) -> None:
        self._log.warning(
            "nobody of group %s has been there for %.0f s, and %d events of %s wait for it, %d bytes of [pubsub.embedded] memory: "
            "start its service, or end the group: vyked-host dlq end --topic %s --group %s",
            group.name, seconds, len(group.entries), group.topic, group.bytes, group.topic, group.name,
        )  # fmt: skip
