"""Who is removed for silence, and when the fault is taken to lie with the registry instead (self-preservation, after
Netflix's Eureka).

At most 15 % of the nodes, but one at least, within one lease. Where more than that are silent at once, nobody is removed
until the missing heartbeats are no more than that again. The last instance of a service is kept ten times as long.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b

from ..model.values import Value
from .leases import overdue, silent
from .state import Entry, State

SHARE = 0.15
"""The share of all nodes that may be lost by silence in one lease before it counts as the registry's own fault."""
RETURN = 2.0
"""Heartbeats that who is still silent gets to come back once the others are heard again: leases are long over by then."""
LAST_INSTANCE = 10.0
"""Leases after which the last instance of a service goes too, where nothing is preserved."""


class Verdict(Value):
    """Who is removed now, in this order; whether removals are stopped; the removals that still count."""

    remove: tuple[str, ...]
    preserving: bool
    silenced: tuple[float, ...]


def silenced(state: State, now: float, chance: float) -> Verdict:
    """What a sweep at `now` does about silence."""
    rules = state.rules
    recent = tuple(at for at in state.silenced if now - at < rules.lease_s)
    allowed = max(1, int(SHARE * (len(state.entries) + len(recent))))
    missing = sum(overdue(entry, rules, now) for entry in state.entries.values())
    preserving = missing + len(recent) > allowed or (state.preserving and missing > allowed)
    if preserving:
        return Verdict(remove=(), preserving=True, silenced=recent)
    candidates = [node_id for node_id, entry in state.entries.items() if silent(entry, rules, now)]
    candidates.sort(key=lambda node_id: blake2b(f"{chance}/{node_id}".encode(), digest_size=8).digest())
    removed = _removable(state, candidates, now)[: allowed - len(recent)]
    return Verdict(remove=tuple(removed), preserving=False, silenced=(*recent, *[now] * len(removed)))


def _removable(state: State, candidates: list[str], now: float) -> list[str]:
    counts = _counts(state.entries)
    found = []
    for node_id in candidates:
        entry = state.entries[node_id]
        services = {each.service for each in entry.record.instances}
        overripe = now - entry.seen_at >= LAST_INSTANCE * state.rules.lease_s
        if overripe or _others(services, counts):
            found.append(node_id)
            for service in services:
                counts[service] -= 1
    return found


def _counts(entries: Mapping[str, Entry]) -> dict[str, int]:
    """Service -> nodes that have it and whose connection is not known to be lost."""
    counts: dict[str, int] = {}
    for entry in entries.values():
        for service in {each.service for each in entry.record.instances} if entry.down_at is None else ():
            counts[service] = counts.get(service, 0) + 1
    return counts


def _others(services: Collection[str], counts: Mapping[str, int]) -> bool:
    return all(counts[service] > 1 for service in services)
