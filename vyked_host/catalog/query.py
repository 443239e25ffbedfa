"""Looking things up. A look-up never changes anything (in Vyked 2.x it created entries), and what is empty is absent."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.topology import Change, Generation, Instance, NodeRecord
from ..model.version import compatible
from .leases import alive
from .state import State


def nodes(state: State, now: float) -> tuple[NodeRecord, ...]:
    """Every node whose lease has not ended at `now`, by node id."""
    living = [entry.record for entry in state.entries.values() if alive(entry, now)]
    return tuple(sorted(living, key=lambda record: record.node_id))


def serving(records: Iterable[NodeRecord], service: str, wanted: str | None) -> tuple[tuple[NodeRecord, Instance], ...]:
    """Active instances of `service` compatible with version `wanted` (None: any release), in the order of `records`."""
    return tuple(
        (record, instance)
        for record in records
        for instance in record.instances
        if instance.service == service and instance.status == "active" and compatible(instance.version, wanted)
    )


def services(records: Iterable[NodeRecord]) -> dict[str, tuple[str, ...]]:
    """Service -> ids of its instances in whatever state; a service without instances is not there."""
    found: dict[str, list[str]] = {}
    for record in records:
        for instance in record.instances:
            found.setdefault(instance.service, []).append(f"{record.node_id}/{instance.service}")
    return {service: tuple(sorted(ids)) for service, ids in sorted(found.items())}


def snapshot(state: State) -> Change:
    """Everything, as a watcher is told it first."""
    known = tuple((entry.generation, entry.record) for _, entry in sorted(state.entries.items()))
    return Change(epoch=state.epoch, revision=state.revision, snapshot=True, nodes=known)


def touching(
    change: Change, services: frozenset[str], known: frozenset[str] = frozenset()
) -> tuple[tuple[Generation, NodeRecord], ...]:  # fmt: skip
    """The nodes of `change` that have one of `services`, or are among `known`: who had one before and may have lost it."""
    return tuple(
        (generation, record)
        for generation, record in change.nodes
        if record.node_id in known or any(instance.service in services for instance in record.instances)
    )
