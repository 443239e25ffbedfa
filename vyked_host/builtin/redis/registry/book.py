"""What one reader makes of its looks: who is there, who is doubted, who may be removed. Pure; times are the reader's own.

The server counts beats; it says nothing of time. The reader notes how far the count was at each look: who gave no beat since a look
has been silent at least since then, by this reader's clock, whatever the clock of the server does. Who is removed is said by the
server alone, to all: a reader asks for it and goes on as before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf

from msgspec.structs import replace

from ....catalog import leases, query
from ....catalog.reduce import reduce
from ....catalog.removal import RETURN, silenced
from ....catalog.state import (
    Announced,
    Disconnected,
    Entry,
    Renewed,
    Rules,
    Shown,
    State,
    Step,
    Swept,
    Told,
    Updated,
    Withdrawn,
)
from ....contracts import Change, Generation, Value
from .sight import Sight, There

LEASES_NOTED = 3
"""Leases for which it is noted how far the count was."""


class Departing(Value):
    """A node to be removed. `last`: the count at its last beat; None: its connection was lost."""

    node_id: str
    counter: int
    last: int | None


class Outcome(Value):
    """What a sight changed. `anew`: watches begin with a snapshot."""

    changes: tuple[Change, ...] = ()
    anew: bool = False
    departing: tuple[Departing, ...] = ()


class Book:
    """One reader's. `state` is None before its first look, and `revision`, `tag` and `looks` say where the last one was."""

    def __init__(self, namespace: str, rules: Rules) -> None:
        self._namespace, self._rules = namespace, rules
        self.state: State | None = None
        self.revision, self.tag, self.looks = 0, "", ""
        self.removed = 0
        self._marks: deque[tuple[float, int]] = deque()
        self._silent: dict[str, tuple[int, float]] = {}
        self._was_silent: dict[str, float] = {}
        self._troubled, self._looked_at_all = False, -inf

    @property
    def highest(self) -> int:
        """Of the counters of generations that were seen; 0: none was."""
        entries = self.state.entries.values() if self.state is not None else ()
        return max((each.generation.counter for each in entries), default=0)

    # ---- before a look -----------------------------------------------------------------------------------------------
    def mark(self, now: float) -> str:
        """Whose last beat was not after this count has missed one; '': too little is known yet."""
        found = ""
        for at, beats in self._marks:
            if now - at < leases.OVERDUE * self._rules.heartbeat_s:
                break
            found = str(beats)
        return found

    def interrupted(self) -> None:
        """The connection to the server ended: beats may have been lost, so who is silent is judged from now on."""
        self._marks.clear()
        self._silent.clear()

    # ---- a look ------------------------------------------------------------------------------------------------------
    def take(self, sight: Sight, now: float) -> Outcome:
        """One more look."""
        before = self.state
        began = before is None or before.epoch != sight.epoch
        if began:
            self._begin(sight, now)
            changes: list[Change] = []
        else:
            changes = self._follow(sight, now)
        self.revision, self.tag, self.looks, self.removed = sight.revision, sight.tag, sight.looks, sight.removed
        self._note(sight, now)
        departing: tuple[Departing, ...] = ()
        if sight.silent or self._is_troubled(now) or self._is_late(now):
            told, departing = self._sweep(sight, now)
            changes += told
        else:
            self.state = replace(self._there, swept_at=now)
        return Outcome(changes=() if began else tuple(changes), anew=began, departing=departing)

    @property
    def _there(self) -> State:
        assert self.state is not None
        return self.state

    def snapshot(self) -> Change:
        """Everything that is known."""
        return query.snapshot(self._there)

    # ---- who is there ------------------------------------------------------------------------------------------------
    def _begin(self, sight: Sight, now: float) -> None:
        self.interrupted()
        state = State(namespace=self._namespace, epoch=sight.epoch, rules=self._rules, swept_at=now, revision=1)
        own = [each for each in sight.nodes if each.record.namespace == self._namespace]
        entries = {each.record.node_id: _entry(each, sight.epoch, now) for each in own}
        shown = {
            node_id: Shown(generation=each.generation, record=each.record, doubt=leases.doubt(each, self._rules, now))
            for node_id, each in entries.items()
        }
        self.state = replace(state, entries=entries, shown=shown)
        self._troubled = any(each.down for each in own)

    def _follow(self, sight: Sight, now: float) -> list[Change]:
        state, changes = self._there, list[Change]()
        gone = {node_id for node_id in sight.gone if node_id in state.entries}
        if sight.whole:
            gone = set(state.entries) - {each.record.node_id for each in sight.nodes}
        steps: list[tuple[Step, int]] = [
            (Withdrawn(node_id=node_id, generation=state.entries[node_id].generation), 0) for node_id in sorted(gone)
        ]
        state, told, others = _joined(state, sight.nodes, now)
        changes += told
        for each in others:
            steps += self._steps(each, state, now)
        if heard := self._heard(sight, now):
            state = replace(state, entries={**state.entries, **heard})
        for step, counter in steps:
            state, effects = reduce(replace(state, counter=counter - 1) if counter else state, step, now)
            changes += (effect.change for effect in effects if isinstance(effect, Told))
        self._troubled |= any(change.doubts for change in changes)
        lost = max(0, sight.removed - self.removed)
        self.state = replace(state, silenced=(*state.silenced, *[now] * lost)) if lost else state
        return changes

    def _heard(self, sight: Sight, now: float) -> dict[str, Entry]:
        """Those that lost their connection, with when they were heard last: who was silent before is cut off, not dead."""
        entries, silent = self._there.entries, dict(sight.silent)
        return {
            node_id: replace(
                entries[node_id], seen_at=self._since(node_id, silent[node_id], now) if node_id in silent else now
            )
            for node_id in (each.record.node_id for each in sight.nodes if each.down)
            if node_id in entries
        }

    def _steps(self, there: There, state: State, now: float) -> Iterable[tuple[Step, int]]:
        """What happened to a node, and the generation that it got, where it got one."""
        record = there.record
        entry = state.entries.get(record.node_id)
        generation = Generation(epoch=state.epoch, counter=there.counter)
        if entry is None or entry.generation != generation or entry.life != there.life:
            yield Announced(record=record, life=there.life), there.counter
        elif entry.record != record:
            yield Updated(generation=generation, record=record), 0
        elif entry.down_at is not None and not there.down:
            yield Renewed(node_id=record.node_id, generation=generation), 0
        if there.down and not self._is_cut_off(record.node_id, now):
            yield Disconnected(node_id=record.node_id, generation=generation), 0

    def _is_cut_off(self, node_id: str, now: float) -> bool:
        """Was it silent a moment ago? When a network heals, what waited in it comes first, the end of its connection then."""
        return now - self._was_silent.get(node_id, -inf) < self._rules.lease_s

    # ---- who is silent -----------------------------------------------------------------------------------------------
    def _note(self, sight: Sight, now: float) -> None:
        if self._marks and sight.beats < self._marks[-1][1]:  # a replica took over, which had not heard of all of them
            self.interrupted()
        self._marks.append((now, sight.beats))
        while now - self._marks[0][0] > LEASES_NOTED * self._rules.lease_s:
            self._marks.popleft()

    def _since(self, node_id: str, last: int, now: float) -> float:
        """Since when a node has been silent, as far as this reader can say."""
        known = self._silent.get(node_id)
        if known is not None and known[0] == last:
            return known[1]
        return next((at for at, beats in self._marks if beats >= last), now)

    def _is_troubled(self, now: float) -> bool:
        """Is there anything that time alone may change? Each node is looked at then, which a quiet mesh is spared. Who went and came
        lately is looked at once a heartbeat: it is told late in any case."""
        if self._troubled or self._there.preserving:
            return True
        return bool(self._there.histories) and now - self._looked_at_all >= self._rules.heartbeat_s

    def _is_late(self, now: float) -> bool:
        return leases.is_late(self._there, self._rules.sweep_s, now)

    def _sweep(self, sight: Sight, now: float) -> tuple[list[Change], tuple[Departing, ...]]:
        state, late, self._looked_at_all = self._there, self._is_late(now), now
        self._silent = {node_id: (last, self._since(node_id, last, now)) for node_id, last in sight.silent}
        self._was_silent |= dict.fromkeys(self._silent, now)
        self._was_silent = {node_id: at for node_id, at in self._was_silent.items() if now - at < self._rules.lease_s}
        seen = {node_id: self._silent[node_id][1] if node_id in self._silent else now for node_id in state.entries}
        entries = {node_id: replace(each, seen_at=seen[node_id]) for node_id, each in state.entries.items()}
        held = state.held_until
        # the server alone removes: never before `held_until` only doubts are told
        swept, effects = reduce(
            replace(state, entries=entries, held_until=held if late else inf),
            Swept(interval=self._rules.sweep_s), now,
        )  # fmt: skip
        self.state = swept if late else replace(swept, held_until=held)
        departing = () if late else self._departing(now)
        after = self._there
        self._troubled = bool(self._silent) or any(each.doubt for each in after.shown.values())
        return [effect.change for effect in effects if isinstance(effect, Told)], departing

    def _departing(self, now: float) -> tuple[Departing, ...]:
        state = self._there
        if now < state.held_until:
            return ()
        # the same order for all readers of one state: else each would remove another one
        verdict = silenced(state, now, float(self.removed))
        if state.preserving and not verdict.preserving:
            held_until = max(state.held_until, now + RETURN * self._rules.heartbeat_s)
            self.state = replace(state, preserving=False, held_until=held_until)
            return ()
        recent = tuple(at for at in state.silenced if now - at < self._rules.lease_s)
        self.state = replace(state, preserving=verdict.preserving, silenced=recent)
        cut_off = [each for each in state.entries.values() if leases.gone(each, self._rules, now)]
        lost = [
            Departing(node_id=each.record.node_id, counter=each.generation.counter, last=None) for each in cut_off
        ]  # fmt: skip
        silent = [
            Departing(node_id=each, counter=state.entries[each].generation.counter, last=self._silent[each][0])
            for each in verdict.remove
            if each in self._silent
        ]
        return (*lost, *silent)


def _joined(state: State, nodes: Iterable[There], now: float) -> tuple[State, list[Change], list[There]]:
    """`state` with those who are new, of whom nothing is known that could delay the news; what is told of them; the others. One step
    for all: a thousand that come at once are not a thousand states."""
    new, others = list[There](), list[There]()
    for each in nodes:
        node_id = each.record.node_id
        is_new = node_id not in state.entries and node_id not in state.histories and not each.down
        (new if is_new and each.record.namespace == state.namespace else others).append(each)
    if not new:
        return state, [], others
    entries = {each.record.node_id: _entry(each, state.epoch, now) for each in new}
    shown = {node_id: Shown(generation=each.generation, record=each.record) for node_id, each in entries.items()}
    after = replace(
        state, entries={**state.entries, **entries}, shown={**state.shown, **shown}, revision=state.revision + 1
    )
    return after, [query.told(after.epoch, after.revision, sorted(shown.items()))], others


def _entry(there: There, epoch: int, now: float) -> Entry:
    generation = Generation(epoch=epoch, counter=there.counter)
    return Entry(
        generation=generation, record=there.record, seen_at=now, down_at=now if there.down else None, life=there.life
    )
