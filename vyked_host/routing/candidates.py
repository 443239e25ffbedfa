"""Who of many can take a call: instances of a service in a compatible version, and the usable ones among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ..model.topology import Instance, NodeRecord
from ..model.version import compatible


class Usable(Protocol):
    """Anything that may or may not take a call now."""

    @property
    def usable(self) -> bool:
        """Can it take a call now?"""
        ...


def usable_from(candidates: Sequence[Usable], start: int) -> int:
    """Position of the first usable candidate at or after `start`, around the end; `start` when none is usable."""
    if candidates[start].usable:
        return start
    count = len(candidates)
    around = ((start + step) % count for step in range(1, count))
    return next((at for at in around if candidates[at].usable), start)


def instances(nodes: Iterable[NodeRecord], service: str, wanted: str | None) -> list[tuple[NodeRecord, Instance]]:
    """Active instances of `service` that can serve who wants version `wanted`, ordered by node id."""
    found = [
        (node, instance)
        for node in nodes
        for instance in node.instances
        if instance.service == service and instance.status == "active" and compatible(instance.version, wanted)
    ]
    return sorted(found, key=lambda pair: pair[0].node_id)
