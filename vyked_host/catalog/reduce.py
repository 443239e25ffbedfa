"""The one function that changes a registry: `reduce(state, step, now) -> (state, effects)`.

Rules. A revision is used up exactly when watchers are told something. Generations only grow. Who speaks with a generation
that is not the current one changes nothing but the count of such messages. What watchers were told is part of the state, so
a snapshot says what the deltas said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from ..model.topology import Doubt, Generation, NodeRecord
from . import flapping, leases, query
from .removal import RETURN, silenced
from .state import (
    Announced,
    Disconnected,
    Effect,
    Entry,
    Granted,
    History,
    Lost,
    Refused,
    Renewed,
    Shown,
    State,
    Step,
    Swept,
    Told,
    Updated,
    Withdrawn,
)

Outcome = tuple[State, tuple[Effect, ...]]
_NO_HISTORY = History()


def reduce(state: State, step: Step, now: float) -> Outcome:
    """The state after `step` at `now` (monotonic seconds), and what is to be done, in this order."""
    match step:
        case Announced():
            return _announce(state, step.record, step.life, now)
        case Swept():
            return _sweep(state, step, now)
        case Updated():
            return _update(state, step.generation, step.record, now)
        case Renewed():
            return _renew(state, step.node_id, step.generation, now)
        case Withdrawn():
            return _withdraw(state, step.node_id, step.generation, now)
        case Disconnected():
            return _disconnect(state, step.node_id, step.generation, now)


# ---- what nodes say --------------------------------------------------------------------------------------------------
def _announce(state: State, record: NodeRecord, life: int, now: float) -> Outcome:
    if record.namespace != state.namespace:
        reason = f"this registry is of mesh {state.namespace!r}, node {record.node_id} is of {record.namespace!r}"
        return state, (Refused(node_id=record.node_id, reason=reason),)
    generation = Generation(epoch=state.epoch, counter=state.counter + 1)
    before = state.entries.get(record.node_id)
    fenced: tuple[Effect, ...] = ()
    if before is not None:
        fenced = (_fenced(record.node_id, before, life),)
        state = _went(state, record.node_id, now) if before.down_at is None else state
    entry = Entry(generation=generation, record=record, seen_at=now, life=life)
    after, told = _tell(_with(replace(state, counter=generation.counter), entry), [record.node_id], now)
    return after, (*fenced, Granted(node_id=record.node_id, generation=generation), *told)


def _renew(state: State, node_id: str, generation: Generation, now: float) -> Outcome:
    refused = _refused(state, node_id, generation)
    if refused is not None:
        return refused
    after, told = _tell(_with(state, _seen(state.entries[node_id], now)), [node_id], now)
    return after, (Granted(node_id=node_id, generation=generation), *told)


def _update(state: State, generation: Generation, record: NodeRecord, now: float) -> Outcome:
    node_id = record.node_id
    refused = _refused(state, node_id, generation)
    if refused is not None:
        return refused
    if record.namespace != state.namespace:
        return state, (Refused(node_id=node_id, reason=f"a node can't leave its mesh {state.namespace!r}"),)
    entry = replace(_seen(state.entries[node_id], now), record=record)
    after, told = _tell(_with(state, entry), [node_id], now)
    return after, (Granted(node_id=node_id, generation=generation), *told)


def _withdraw(state: State, node_id: str, generation: Generation, now: float) -> Outcome:
    refused = _refused(state, node_id, generation)
    if refused is not None:
        return refused
    state = _went(state, node_id, now) if state.entries[node_id].down_at is None else state
    return _tell(_without(state, [node_id]), [node_id], now)


def _refused(state: State, node_id: str, generation: Generation) -> Outcome | None:
    reason = leases.fault(state, node_id, generation)
    if reason is None:
        return None
    return replace(state, fenced=state.fenced + 1), (Refused(node_id=node_id, reason=reason),)


# ---- what the registry sees ------------------------------------------------------------------------------------------
def _disconnect(state: State, node_id: str, generation: Generation, now: float) -> Outcome:
    if leases.fault(state, node_id, generation) is not None:
        return state, ()
    entry = state.entries[node_id]
    if entry.down_at is not None or leases.overdue(entry, state.rules, now) or leases.is_blind(state, now):
        # who was silent before is cut off rather than dead (a ping found it), and so may all the others be
        return state, ()
    return _tell(_went(_with(state, replace(entry, down_at=now)), node_id, now), [node_id], now)


def _sweep(state: State, step: Swept, now: float) -> Outcome:
    after = replace(state, swept_at=now)
    if leases.is_late(state, step.interval, now):
        held_until = max(state.held_until, now + min(state.rules.lease_s, now - state.swept_at - step.interval))
        blind_until = held_until if leases.is_blind(state, now) else state.blind_until
        return replace(after, held_until=held_until, blind_until=blind_until), ()
    lost: list[Effect] = []
    if now >= state.held_until:
        after, lost = _remove(after, step.chance, now)
    after, told = _tell(after, {*after.entries, *after.shown}, now)
    past = {node_id: each for node_id, each in after.histories.items() if not flapping.over(each, state.rules, now)}
    return replace(after, histories=past), (*lost, *told)


def _remove(state: State, chance: float, now: float) -> tuple[State, list[Effect]]:
    verdict = silenced(state, now, chance)
    if state.preserving and not verdict.preserving:
        held_until = max(state.held_until, now + RETURN * state.rules.heartbeat_s)
        return replace(state, preserving=False, held_until=held_until), []  # nobody is removed yet: nothing to count
    gone = [node_id for node_id, entry in state.entries.items() if leases.gone(entry, state.rules, now)]
    lost: list[Effect] = [_ended(state, node_id, "its connection was lost") for node_id in sorted(gone)]
    lost += [_ended(state, node_id, f"no sign of life for {state.rules.lease_s:g} s") for node_id in verdict.remove]
    for node_id in verdict.remove:
        state = _went(state, node_id, now)
    state = replace(state, preserving=verdict.preserving, silenced=verdict.silenced)
    return _without(state, {*gone, *verdict.remove}), lost


# ---- telling ---------------------------------------------------------------------------------------------------------
def _tell(state: State, node_ids: Iterable[str], now: float) -> Outcome:
    """Show watchers what they do not know yet of `node_ids`, where it may be told now."""
    shown, histories, gone = dict(state.shown), dict(state.histories), list[str]()
    news: list[tuple[str, Shown]] = []
    for node_id in sorted(node_ids):
        before, wanted = shown.get(node_id), _wanted(state, node_id, now)
        history = histories.get(node_id)
        if wanted == before or (_returns(before, wanted) and not flapping.may_tell(history, now)):
            continue
        if history is not None and (_returns(before, wanted) or _leaves(before, wanted)):
            histories[node_id] = flapping.told(history, state.rules, now)
        if wanted is None:
            del shown[node_id]
            gone.append(node_id)
        else:
            news.append((node_id, wanted))
    if not news and not gone:
        return state, ()
    shown |= news
    after = replace(state, shown=shown, histories=histories, revision=state.revision + 1)
    return after, (Told(change=query.told(after.epoch, after.revision, news, gone=tuple(gone))),)


def _wanted(state: State, node_id: str, now: float) -> Shown | None:
    entry = state.entries.get(node_id)
    if entry is None:
        return None
    return Shown(generation=entry.generation, record=entry.record, doubt=_doubt(state, node_id, entry, now))


def _doubt(state: State, node_id: str, entry: Entry, now: float) -> Doubt | None:
    found = leases.doubt(entry, state.rules, now)
    if found is None and flapping.unstable(state.histories.get(node_id), state.rules, now):
        return "suspect"
    return found


def _returns(before: Shown | None, wanted: Shown | None) -> bool:
    """Would this tell of a coming (back), or of a new life in an old one's place?"""
    if wanted is None or wanted.doubt == "down":
        return False
    return before is None or before.doubt == "down" or before.generation != wanted.generation


def _leaves(before: Shown | None, wanted: Shown | None) -> bool:
    """Would this tell of a going away?"""
    return before is not None and before.doubt != "down" and (wanted is None or wanted.doubt == "down")


# ---- parts of a state ------------------------------------------------------------------------------------------------
def _seen(entry: Entry, now: float) -> Entry:
    return replace(entry, seen_at=now, down_at=None)


def _went(state: State, node_id: str, now: float) -> State:
    history = flapping.went(state.histories.get(node_id, _NO_HISTORY), state.rules, now)
    return replace(state, histories={**state.histories, node_id: history})


def _with(state: State, entry: Entry) -> State:
    return replace(state, entries={**state.entries, entry.record.node_id: entry})


def _without(state: State, gone: Collection[str]) -> State:
    return replace(
        state, entries={node_id: entry for node_id, entry in state.entries.items() if node_id not in gone}
    )  # fmt: skip


def _fenced(node_id: str, before: Entry, life: int) -> Lost:
    taken = before.life != life
    by = "another process announced this node id" if taken else "it was announced again"
    return Lost(node_id=node_id, generation=before.generation, reason=f"node {node_id}: {by}", taken=taken)


def _ended(state: State, node_id: str, reason: str) -> Lost:
    return Lost(node_id=node_id, generation=state.entries[node_id].generation, reason=f"node {node_id}: {reason}")
