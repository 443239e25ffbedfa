"""Lives and leases: who may speak for a node, and what the evidence says of it.

Evidence is graded (docs/semantics.md, the registry): a withdrawal removes at once; a lost connection makes a node "down",
and removes it after a grace; silence makes it "suspect", and removes it after the lease, never earlier (see `removal`).
"""

from __future__ import annotations

from ..model.topology import Doubt, Generation
from .state import Entry, Rules, State

LATE = 2.0
"""A sweep that comes after more than this many intervals is late: the registry was held up itself."""
OVERDUE = 1.5
"""Heartbeats without a sign of life after which one is missing for certain (they come every 0.9 to 1.1)."""
BLIND = 1.0
"""Heartbeats without a sweep after which what is read may be old."""
SUSPECT = 2.0
"""Heartbeats without a sign of life after which a node is suspect."""


def fault(state: State, node_id: str, generation: Generation) -> str | None:
    """Why `generation` may not speak for `node_id`; None: it may."""
    entry = state.entries.get(node_id)
    if generation.epoch != state.epoch:
        return "this generation is of another epoch: the registry started anew, announce again"
    if entry is None:
        return f"node {node_id} is not known (any more): announce again"
    if entry.generation != generation:
        return f"node {node_id} has a newer generation, {entry.generation.counter}: {generation.counter} is over"
    return None


def overdue(entry: Entry, rules: Rules, now: float) -> bool:
    """Is at least one heartbeat missing, from a node whose connection seems to stand?"""
    return entry.down_at is None and now - entry.seen_at > OVERDUE * rules.heartbeat_s


def silent(entry: Entry, rules: Rules, now: float) -> bool:
    """Has the lease ended by silence?"""
    return entry.down_at is None and now - entry.seen_at >= rules.lease_s


def gone(entry: Entry, rules: Rules, now: float) -> bool:
    """Has the grace ended that a lost connection leaves?"""
    return entry.down_at is not None and now - entry.down_at >= rules.gone_after_s


def doubt(entry: Entry, rules: Rules, now: float) -> Doubt | None:
    """What the evidence speaks against `entry`."""
    if entry.down_at is not None:
        return "down"
    return "suspect" if now - entry.seen_at > SUSPECT * rules.heartbeat_s else None


def is_late(state: State, interval: float, now: float) -> bool:
    """Does a sweep at `now` come so late that signs of life may lie unread?"""
    return now - state.swept_at > LATE * interval


def is_blind(state: State, now: float) -> bool:
    """Was the registry held up for a heartbeat or longer, so that what it reads may be old? A beat that lay in the socket of
    a connection which has ended since would make a node that was cut off look like one that has just died."""
    return now < state.blind_until or now - state.swept_at > max(
        BLIND * state.rules.heartbeat_s, state.rules.sweep_s * LATE
    )
