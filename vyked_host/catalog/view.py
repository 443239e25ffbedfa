"""What a watcher knows: snapshots, deltas and epochs merged into one view that never goes back.

A registry that starts anew knows nobody yet. So when an epoch begins, nodes of the one before stay as suspect for a warm-up,
unless they are announced again or told gone: a service never seems to vanish because its registry did. The warm-up begins anew
with each of them that comes back: many hosts on a busy machine take their time. Each comes back once, so it ends. While there
is no registry at all nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from ..model.topology import Change, Doubt, Generation, NodeRecord
from ..model.values import Value

REMEMBERED = 64
"""Epochs that are over and whose late changes are known to be stale."""


class Known(Value):
    """A node as it is known: its life, its record, what speaks against it. `until`: of an epoch that is over, forgotten
    then (monotonic seconds); None: of the epoch that runs."""

    generation: Generation
    record: NodeRecord
    doubt: Doubt | None = None
    until: float | None = None


class View(Value):
    """What is known of a mesh. `epoch` None: no registry was heard yet."""

    epoch: int | None = None
    revision: int = 0
    nodes: Mapping[str, Known] = {}
    past: tuple[int, ...] = ()

    def records(self, without: Iterable[Doubt] = ()) -> dict[str, NodeRecord]:
        """Node id -> record, but for nodes with one of these doubts."""
        left_out = frozenset[Doubt | None](without)
        return {node_id: known.record for node_id, known in self.nodes.items() if known.doubt not in left_out}

    @property
    def forgets_at(self) -> float | None:
        """When `forget` has something to do next; None: never, as things are."""
        return min((known.until for known in self.nodes.values() if known.until is not None), default=None)


def merge(view: View, change: Change, now: float, warm_up_s: float) -> View:
    """`view` after `change`; the same object when the change is stale: of an epoch that is over, of a revision that was
    heard already, or a delta of an epoch whose snapshot was not."""
    if change.epoch != view.epoch:
        if not change.snapshot or change.epoch in view.past:
            return view
        return _begun(view, change, now, warm_up_s)
    if change.revision < view.revision or (change.revision == view.revision and not change.snapshot):
        return view
    kept = {node_id: known for node_id, known in view.nodes.items() if not change.snapshot or known.until is not None}
    if any(record.node_id in kept and kept[record.node_id].until is not None for _, record in change.nodes):
        kept = _prolonged(kept, now + warm_up_s)
    return replace(view, revision=change.revision, nodes=_told(kept, change))


def _prolonged(nodes: Mapping[str, Known], until: float) -> dict[str, Known]:
    return {
        node_id: known if known.until is None or known.doubt == "down" else replace(known, until=until)
        for node_id, known in nodes.items()
    }


def _begun(view: View, change: Change, now: float, warm_up_s: float) -> View:
    old = {
        node_id: replace(known, doubt=change.doubts.get(node_id, known.doubt) or "suspect", until=now + warm_up_s)
        for node_id, known in view.nodes.items()
    }
    past = view.past if view.epoch is None else (*view.past, view.epoch)[-REMEMBERED:]
    return View(epoch=change.epoch, revision=change.revision, nodes=_told(old, change), past=past)


def _told(before: Mapping[str, Known], change: Change) -> dict[str, Known]:
    found = {node_id: known for node_id, known in before.items() if node_id not in change.gone}
    for generation, record in change.nodes:
        doubt = change.doubts.get(record.node_id)
        found[record.node_id] = Known(generation=generation, record=record, doubt=doubt)
    return found


def forget(view: View, now: float) -> View:
    """`view` without the nodes whose warm-up is over; the same object when there is none."""
    left = {node_id: known for node_id, known in view.nodes.items() if known.until is None or now < known.until}
    return view if len(left) == len(view.nodes) else replace(view, nodes=left)
