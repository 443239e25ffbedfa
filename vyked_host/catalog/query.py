"""Looking things up. A look-up never changes anything (in Vyked 2.x it created entries), and what is empty is absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model.topology import Change, Doubt, Generation, Instance, NodeRecord
from ..model.version import compatible
from .state import Shown, State


def nodes(state: State) -> tuple[NodeRecord, ...]:
    """Every node that watchers know of, by node id."""
    return tuple(shown.record for _, shown in sorted(state.shown.items()))


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
    return told(state.epoch, state.revision, sorted(state.shown.items()), snapshot=True)


def told(
    epoch: int, revision: int, shown: Iterable[tuple[str, Shown]], *, gone: tuple[str, ...] = (), snapshot: bool = False
) -> Change:  # fmt: skip
    """The change that tells of `shown`, with what speaks against them."""
    known = tuple(shown)
    doubts: Mapping[str, Doubt] = {node_id: each.doubt for node_id, each in known if each.doubt is not None}
    pairs = tuple((each.generation, each.record) for _, each in known)
    return Change(epoch=epoch, revision=revision, snapshot=snapshot, nodes=pairs, gone=gone, doubts=doubts)


def touching(
    change: Change, services: frozenset[str], known: frozenset[str] = frozenset()
) -> tuple[tuple[Generation, NodeRecord], ...]:  # fmt: skip
    """The nodes of `change` that have one of `services`, or are among `known`: who had one before and may have lost it."""
    return tuple(
        (generation, record)
        for generation, record in change.nodes
        if record.node_id in known or any(instance.service in services for instance in record.instances)
    )
