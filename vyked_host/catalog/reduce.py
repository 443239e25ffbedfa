"""The one function that changes a registry: `reduce(state, step, now) -> (state, effects)`.

Rules. A revision is used up exactly when watchers are told something. Generations only grow. Who speaks with a generation
that is not the current one changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..model.topology import Change, Generation, NodeRecord
from . import leases
from .state import (
    Announced,
    Effect,
    Entry,
    Granted,
    Lost,
    Refused,
    Renewed,
    State,
    Step,
    Swept,
    Told,
    Updated,
    Withdrawn,
)

Outcome = tuple[State, tuple[Effect, ...]]


def reduce(state: State, step: Step, now: float) -> Outcome:
    """The state after `step` at `now` (monotonic seconds), and what is to be done, in this order."""
    match step:
        case Announced():
            return _announce(state, step.record, now)
        case Swept():
            return _sweep(state, step.interval, now)
        case Updated():
            return _update(state, step.generation, step.record, now)
        case Renewed():
            return _renew(state, step.node_id, step.generation, now)
        case Withdrawn():
            return _withdraw(state, step.node_id, step.generation)


def _announce(state: State, record: NodeRecord, now: float) -> Outcome:
    if record.namespace != state.namespace:
        reason = f"this registry is of mesh {state.namespace!r}, node {record.node_id} is of {record.namespace!r}"
        return state, (Refused(node_id=record.node_id, reason=reason),)
    generation = Generation(epoch=state.epoch, counter=state.counter + 1)
    entry = Entry(generation=generation, record=record, expires_at=now + state.lease_s)
    before = state.entries.get(record.node_id)
    after = _with(msgspec.structs.replace(state, counter=generation.counter), entry)
    fenced = () if before is None else (_fenced(record.node_id, before.generation),)
    return after, (*fenced, _granted(entry), _told(after, entry))


def _renew(state: State, node_id: str, generation: Generation, now: float) -> Outcome:
    reason = leases.fault(state, node_id, generation)
    if reason is not None:
        return state, (Refused(node_id=node_id, reason=reason),)
    entry = msgspec.structs.replace(state.entries[node_id], expires_at=now + state.lease_s)
    return _replaced(state, {**state.entries, node_id: entry}), (_granted(entry),)


def _update(state: State, generation: Generation, record: NodeRecord, now: float) -> Outcome:
    after, effects = _renew(state, record.node_id, generation, now)
    if after is state or after.entries[record.node_id].record == record:
        return after, effects
    if record.namespace != state.namespace:
        return state, (Refused(node_id=record.node_id, reason=f"a node can't leave its mesh {state.namespace!r}"),)
    entry = msgspec.structs.replace(after.entries[record.node_id], record=record)
    after = _with(after, entry)
    return after, (*effects, _told(after, entry))


def _withdraw(state: State, node_id: str, generation: Generation) -> Outcome:
    reason = leases.fault(state, node_id, generation)
    if reason is not None:
        return state, (Refused(node_id=node_id, reason=reason),)
    return _without(state, [node_id])


def _sweep(state: State, interval: float, now: float) -> Outcome:
    gone = leases.ended(state, now, interval)
    lost = tuple(_silent(state, node_id) for node_id in gone)
    after = msgspec.structs.replace(state, swept_at=now)
    if not gone:
        return after, ()
    after, told = _without(after, gone)
    return after, (*lost, *told)


def _with(state: State, entry: Entry) -> State:
    entries = {**state.entries, entry.record.node_id: entry}
    return _replaced(state, entries, revision=state.revision + 1)


def _without(state: State, gone: list[str]) -> Outcome:
    entries = {node_id: entry for node_id, entry in state.entries.items() if node_id not in gone}
    after = _replaced(state, entries, revision=state.revision + 1)
    change = Change(epoch=after.epoch, revision=after.revision, snapshot=False, nodes=(), gone=tuple(gone))
    return after, (Told(change=change),)


def _replaced(state: State, entries: Mapping[str, Entry], revision: int | None = None) -> State:
    return msgspec.structs.replace(
        state, entries=entries, revision=state.revision if revision is None else revision
    )  # fmt: skip


def _told(state: State, entry: Entry) -> Told:
    nodes = ((entry.generation, entry.record),)
    return Told(change=Change(epoch=state.epoch, revision=state.revision, snapshot=False, nodes=nodes))


def _granted(entry: Entry) -> Granted:
    return Granted(node_id=entry.record.node_id, generation=entry.generation, expires_at=entry.expires_at)


def _fenced(node_id: str, generation: Generation) -> Lost:
    return Lost(node_id=node_id, generation=generation, reason=f"node {node_id} was announced again by somebody else")


def _silent(state: State, node_id: str) -> Lost:
    reason = f"no sign of life for {state.lease_s:g} s"
    return Lost(node_id=node_id, generation=state.entries[node_id].generation, reason=reason)
