"""What a broker says of its groups: who is there, how far they are behind, what they have given up."""

from __future__ import annotations

from collections.abc import Collection

from ....contracts import GroupLag
from .broker import Broker
from .group import GroupQueue
from .parcel import Topic


def known_groups(broker: Broker, topic: Topic) -> list[tuple[str, int, int]]:
    """(group, members, events that wait) of one topic."""
    return [(each.name, each.members, each.waiting) for each in broker.groups.get(topic, {}).values()]


def lag(broker: Broker, unix_s: float, groups: Collection[str] | None) -> list[GroupLag]:
    """How far each group of any topic is behind at `unix_s`, seconds since 1970; `groups`: those of these names alone."""
    return [_lag_of(each, unix_s) for each in broker.all_groups() if groups is None or each.name in groups]


def _lag_of(group: GroupQueue, unix_s: float) -> GroupLag:
    alive = [entry for entry in group.entries.values() if entry.id not in group.dead]
    given = group.given
    in_flight = sum(entry in given or entry.held for entry in alive)
    first = min((entry.parcel.event.published_unix_s for entry in alive), default=unix_s)
    return GroupLag(
        service=group.topic.service, major=group.topic.major, name=group.topic.name, group=group.name, members=group.members,
        waiting=len(alive) - in_flight, in_flight=in_flight, oldest_s=max(0.0, unix_s - first), dead=len(group.dead),
    )  # fmt: skip


def letterboxes(broker: Broker) -> list[tuple[str, int, str, str, int]]:
    """(service, major, event, group, dead letters) of each group that has any."""
    return [(*each.topic, each.name, len(each.dead)) for each in broker.all_groups() if each.dead]
