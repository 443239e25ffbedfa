"""Lives and leases: who may speak for a node, and when its lease is over.

A lease ends `State.lease_s` after the last accepted sign of life, never earlier. A registry that was held up itself ends
none: signs of life may lie unread in its sockets. The next sweep that is on time decides.
"""

from __future__ import annotations

from ..model.topology import Generation
from .state import Entry, State

LATE = 2.0
"""A sweep that comes after more than this many intervals is late."""


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


def alive(entry: Entry, now: float) -> bool:
    """Has the lease of `entry` not ended at `now`?"""
    return now < entry.expires_at


def ended(state: State, now: float, interval: float) -> list[str]:
    """Node ids whose leases a sweep at `now` ends, sorted; none when this sweep is late."""
    if now - state.swept_at > LATE * interval:
        return []
    return sorted(node_id for node_id, entry in state.entries.items() if not alive(entry, now))
