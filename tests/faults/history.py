"""Histories of a mesh under faults, and the rules that they have to keep. Pure: no I/O, no clock.

Each rule is a function from records to sentences; no sentence, no breach. The rules are the promises of docs/semantics.md:

* calls (D1 of the reliability notes): a call that succeeded ran, one that was `not_sent` or `not_executed` did not, and no call
  of a method that is not idempotent ran twice;
* events (D2): what the bus accepted is handled, waits, or is a dead letter; nothing is handled that nobody published; whoever
  gets an event a second time is told so;
* watches and leases (D3): what a watcher is told never goes back; a lease ends neither early nor late.

All times are monotonic seconds, which every process of one machine shares.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

Outcome = Literal["ok", "not_sent", "not_executed", "executed", "unknown"]
NEVER_RAN = frozenset({"not_sent", "not_executed"})
DID_RUN = frozenset({"ok", "executed"})
SHOWN = 5
"""Examples named in one sentence."""


# ---- what happened ---------------------------------------------------------------------------------------------------
class Call(NamedTuple):
    """A call as its caller saw it. `outcome` is "ok", or `executed` of the error; `code` is the error's."""

    id: str
    outcome: Outcome
    idempotent: bool
    began: float
    ended: float
    code: str = ""


class Execution(NamedTuple):
    """A handler of a call began."""

    id: str
    node: str
    at: float


class Publication(NamedTuple):
    """An event as its publisher saw it. `acked`: the bus said that it has it; else it failed, or nobody knows. `sequence` counts
    within (source, topic)."""

    id: str
    acked: bool
    at: float
    source: str = ""
    topic: str = ""
    sequence: int = 0


class Handling(NamedTuple):
    """One delivery of an event to one handler. `count` is the delivery_count it was told; `ended` None: it never returned."""

    id: str
    group: str
    node: str
    count: int
    at: float
    ended: float | None


class Heard(NamedTuple):
    """One fan-out event at one instance, with the gap that was told with it."""

    node: str
    source: str
    topic: str
    sequence: int
    gap: int = 0


class Sight(NamedTuple):
    """What one watcher was told, in order."""

    watcher: str
    epoch: int
    revision: int
    snapshot: bool
    at: float = 0.0


class Removal(NamedTuple):
    """A node that the registry forgot for its silence. `seen`: its last sign of life that was accepted."""

    node: str
    seen: float
    removed: float


# ---- calls -----------------------------------------------------------------------------------------------------------
def breaches_of_calls(calls: Iterable[Call], executions: Iterable[Execution]) -> list[str]:
    """Where the executions don't fit what callers were told. An execution of a call that nobody made is one too."""
    ran = Counter(each.id for each in executions)
    known = {each.id: each for each in calls}
    return [
        *_say(
            "calls that succeeded and never ran", (c.id for c in known.values() if c.outcome == "ok" and not ran[c.id])
        ),
        *_say(
            "calls that ended as executed and never ran",
            (c.id for c in known.values() if c.outcome == "executed" and not ran[c.id]),
        ),
        *_say(
            "calls that can't have run, and did", (c.id for c in known.values() if c.outcome in NEVER_RAN and ran[c.id])
        ),
        *_say(
            "calls that are not idempotent and ran more than once",
            (c.id for c in known.values() if not c.idempotent and ran[c.id] > 1),
        ),
        *_say("executions of calls that nobody made", (id for id in ran if id not in known)),
    ]


# ---- events ----------------------------------------------------------------------------------------------------------
def breaches_of_delivery(
    published: Iterable[Publication], handled: Sequence[Handling], groups: Collection[str],
    dead: Mapping[str, Collection[str]], pending: Mapping[str, int],
) -> list[str]:  # fmt: skip
    """At least once, per group: `dead` are ids of dead letters, `pending` is how many wait."""
    attempts = list(published)
    acked, tried = {each.id for each in attempts if each.acked}, {each.id for each in attempts}
    found = _say("handled, and published by nobody", sorted({each.id for each in handled} - tried))
    for group in groups:
        done = {each.id for each in handled if each.group == group and each.ended is not None}
        lost = acked - done - set(dead.get(group, ()))
        if len(lost) > pending.get(group, 0):
            found += _say(f"lost to group {group} ({pending.get(group, 0)} wait)", sorted(lost))
    return found + breaches_of_flags(handled)


def breaches_of_flags(handled: Iterable[Handling]) -> list[str]:
    """Of all runs for one event in one group at most one may think that it is the first: the others are told so by a count above
    1. Which of them comes first is not said: who was frozen with a delivery handles it whenever it goes on."""
    firsts = Counter((each.group, each.id) for each in handled if each.count <= 1)
    return _say("delivered again without being told", (id for (_, id), runs in firsts.items() if runs > 1))


def breaches_of_calm(
    published: Iterable[Publication], handled: Iterable[Handling], groups: Collection[str]
) -> list[str]:
    """Without faults, each group runs one handler per event."""
    runs = Counter((each.group, each.id) for each in handled)
    wanted = [(group, each.id) for each in published if each.acked for group in groups]
    return [
        *_say("not handled exactly once in a calm run", (f"{id} by {group}: {runs[group, id]}" for group, id in wanted if runs[group, id] != 1)),
    ]  # fmt: skip


def duplicates(handled: Iterable[Handling]) -> int:
    """Deliveries beyond the first of each event to each group."""
    return sum(count - 1 for count in Counter((each.group, each.id) for each in handled).values())


def breaches_of_order(heard: Iterable[Heard]) -> list[str]:
    """Fan-out keeps the order of each publisher and topic, tells of each loss, and tells nothing twice."""
    last: dict[tuple[str, str, str], int] = {}
    missed: dict[str, int] = defaultdict(int)
    told: dict[str, int] = defaultdict(int)
    unknown: set[str] = set()
    backwards = []
    for each in heard:
        key = (each.node, each.source, each.topic)
        before = last.get(key)
        if before is not None and each.sequence <= before:
            backwards.append(f"{each.source}/{each.topic} {each.sequence} after {before} at {each.node}")
        elif before is not None:
            missed[each.node] += each.sequence - before - 1
        if each.gap < 0:
            unknown.add(each.node)
        told[each.node] += max(each.gap, 0)
        last[key] = each.sequence
    silent = [
        f"{node}: {count} missed, {told[node]} told"
        for node, count in missed.items()
        if count > told[node] and node not in unknown
    ]
    return [*_say("out of order", backwards), *_say("losses that were not told", silent)]


# ---- registry --------------------------------------------------------------------------------------------------------
def breaches_of_watching(sights: Iterable[Sight]) -> list[str]:
    """Per watcher: within an epoch revisions only grow (a snapshot may repeat one), an epoch that is over never comes back, and
    each epoch begins with a snapshot."""
    at: dict[str, tuple[int, int]] = {}
    past: dict[str, set[int]] = defaultdict(set)
    found: list[str] = []
    for each in sights:
        epoch, revision = at.get(each.watcher, (None, -1))
        place = f"{each.watcher}: {each.epoch}/{each.revision} after {epoch}/{revision}"
        if each.epoch == epoch:
            if each.revision < revision or (each.revision == revision and not each.snapshot):
                found.append(f"a watcher went back: {place}")
        elif each.epoch in past[each.watcher]:
            found.append(f"a watcher went back to an epoch that was over: {place}")
        elif not each.snapshot:
            found.append(f"an epoch began without a snapshot: {place}")
        if epoch is not None and epoch != each.epoch:
            past[each.watcher].add(epoch)
        at[each.watcher] = (each.epoch, each.revision)
    return found


def breaches_of_leases(removals: Iterable[Removal], *, lease: float, sweep: float, slack: float) -> list[str]:
    """Never removed before the lease is over, and gone a sweep later, give or take `slack` of a busy machine."""
    found = []
    for each in removals:
        silent = each.removed - each.seen
        if silent < lease:
            found.append(
                f"{each.node} was removed {silent:.3f} s after its last sign of life, its lease is {lease:.3f} s"
            )
        elif silent > lease + sweep + slack:
            found.append(
                f"{each.node} was removed only after {silent:.3f} s, lease and sweep are {lease + sweep:.3f} s"
            )
    return found


def breaches_of_emptiness(counts: Iterable[tuple[float, int]], least: int = 1) -> list[str]:
    """(time, instances of a service as a watcher saw them): never fewer than `least` once there were so many."""
    full, found = False, []
    for at, count in counts:
        if full and count < least:
            found.append(f"only {count} instances were seen at {at:.3f}")
        full = full or count >= least
    return found


def breaches_of_views(views: Mapping[str, object]) -> list[str]:
    """Every watcher has the same view in the end."""
    kinds = defaultdict(list)
    for watcher, view in views.items():
        kinds[repr(view)].append(watcher)
    return [] if len(kinds) <= 1 else [f"views differ: {'; '.join(f'{who}: {view}' for view, who in kinds.items())}"]


# ---- words -----------------------------------------------------------------------------------------------------------
def _say(what: str, ids: Iterable[str]) -> list[str]:
    found = list(ids)
    if not found:
        return []
    more = ", ..." if len(found) > SHOWN else ""
    return [f"{len(found)} {what}: {', '.join(found[:SHOWN])}{more}"]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of all lie; 0.0 when there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
