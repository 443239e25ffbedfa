"""Which one of those who xsubscribed gets an event. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

LEADER = "LEADER"
NAMES = {"leader": LEADER, "random": "RANDOM", "keyed": "DESIGNATION", "any": "DESIGNATION"}
"""Our strategies -> those of the wire."""


def groups(found: Iterable[Any]) -> list[list[Any]]:
    """Subscribers by consumer service: in the order of the registry, each node once."""
    by_service: dict[tuple[str, str], dict[str, Any]] = {}
    for each in found:
        by_service.setdefault(each.of, {}).setdefault(each.node_id, each)
    return [list(members.values()) for members in by_service.values()]


def turns(members: Sequence[Any], chance: Callable[[], float]) -> list[Any]:
    """The members in the order in which they are tried: the leader is the first one, of the others anybody is."""
    if members[0].strategy == LEADER:
        return list(members)
    return sorted(members, key=lambda _: chance())
