"""What a broker says of its groups: who is there, how far they are behind, what they have given up."""

from __future__ import annotations

from collections.abc import Collection

from ....contracts import GroupLag
from .broker import Broker
from .parcel import Topic


def known_groups(broker: Broker, topic: Topic) -> list[tuple[str, int, int]]:
    """(group, members, events that wait) of one topic."""
    return [(each.name, each.members, each.waiting) for each in broker.groups.get(topic, {}).values()]


def lag(broker: Broker, unix_s: float, groups: Collection[str] | None) -> list[GroupLag]:
    """How far each group of any topic is behind at `unix_s`, seconds since 1970; `groups`: those of these names alone."""
    return [each.lag(unix_s) for each in broker.all_groups() if groups is None or each.name in groups]


def letterboxes(broker: Broker) -> list[tuple[str, int, str, str, int]]:
    """(service, major, event, group, dead letters) of each group that has any."""
    return [(*each.topic, each.name, len(each.dead)) for each in broker.all_groups() if each.dead]
