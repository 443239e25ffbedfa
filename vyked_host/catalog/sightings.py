"""What one reader makes of signs of life that a server puts in order: who is there, who is doubted, who may be removed.

The server says in which order things happened and nothing of time: who gave no sign has been silent for as long as this reader's own
clock says that it has been listening without one, whatever the clock of the server does. Who is removed is said at the server alone,
so that all readers agree: a reader asks for it (`Departing`), on condition that nothing was heard meanwhile, and goes on as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from msgspec.structs import replace

from ..model.topology import Change, Generation, NodeRecord
from ..model.values import Value
from . import leases
from .query import snapshot
from .reduce import reduce
from .removal import RETURN, silenced
from .state import Announced, Disconnected, Entry, Renewed, Rules, State, Step, Swept, Told, Updated, Withdrawn


class Departing(Value):
    """A node that may be removed, if `mark` still is its last sign of life."""

    node_id: str
    counter: int
    mark: int


class Sightings:
    """One reader's. `state` is None before anything is known. Times are monotonic seconds of the reader; a mark is the place of a
    sign of life in the server's order."""

    def __init__(self, namespace: str, rules: Rules) -> None:
        self._namespace, self._rules = namespace, rules
        self.state: State | None = None
        self.marks: dict[str, int] = {}
        self._heard: dict[str, float] = {}
        self._unheard: set[str] = set()

    # ---- what is heard -----------------------------------------------------------------------------------------------
    def begin(self, epoch: int, now: float) -> None:
        """A registry that is not the one before."""
        self.state = State(namespace=self._namespace, epoch=epoch, rules=self._rules, swept_at=now, revision=1)
        self.marks, self._heard, self._unheard = {}, {}, set()

    def interrupted(self, now: float) -> None:
        """Nothing was heard for a while, by this reader's fault or the network's: who is silent is judged from now on."""
        if self.state is not None:
            self._heard = dict.fromkeys(self.state.entries, now)
            self._unheard = set(self.state.entries)

    def seen(self, record: NodeRecord, *, life: int, counter: int, mark: int, now: float) -> tuple[Change, ...]:
        """A node as it stands at the server, and its last sign of life. `counter` is that of its generation."""
        state, node_id = self._there, record.node_id
        if record.namespace != self._namespace:
            return ()
        entry, generation = state.entries.get(node_id), Generation(epoch=state.epoch, counter=counter)
        is_news, self.marks[node_id] = mark > self.marks.get(node_id, -1), mark
        if is_news:
            self._unheard.discard(node_id)
        if entry is None or entry.generation != generation:
            self._heard.pop(node_id, None)
            self.state = replace(state, counter=counter - 1)
            return self._step(Announced(record=record, life=life), now)
        if entry.record != record:
            self._heard.pop(node_id, None)
            return self._step(Updated(generation=generation, record=record), now)
        if not is_news:
            return ()
        if self._is_well(node_id, entry):
            self._heard[node_id] = now  # cheap, for it is nearly all that ever happens
            return ()
        self._heard.pop(node_id, None)
        return self._step(Renewed(node_id=node_id, generation=generation), now)

    def down(self, node_id: str, counter: int, now: float) -> tuple[Change, ...]:
        """Its connection was lost. A later sign of life takes that back. Who was not heard since this reader could not hear is
        cut off as it was, rather than dead: only its silence counts."""
        if node_id in self._unheard:
            return ()
        self._catch_up()
        return self._step(Disconnected(node_id=node_id, generation=self._generation(counter)), now)

    def gone(self, node_ids: Iterable[str], now: float) -> tuple[Change, ...]:
        """They are no longer there at the server."""
        changes: list[Change] = []
        self._catch_up()
        for node_id in node_ids:
            entry = self._there.entries.get(node_id)
            if entry is None:
                continue
            if leases.silent(entry, self._rules, now):
                self.state = replace(self._there, silenced=(*self._there.silenced, now))
            changes += self._step(Withdrawn(node_id=node_id, generation=entry.generation), now)
            self.marks.pop(node_id, None)
            self._heard.pop(node_id, None)
        return tuple(changes)

    def snapshot(self) -> Change | None:
        """Everything that is known; None: nothing yet."""
        return None if self.state is None else snapshot(self.state)

    # ---- what time does ------------------------------------------------------------------------------------------------
    def sweep(self, now: float) -> tuple[tuple[Change, ...], tuple[Departing, ...]]:
        """Look for who is silent: changes to tell, and who may be removed."""
        late = leases.is_late(self._there, self._rules.sweep_s, now)
        if not late and not self._is_troubled(now):
            self.state = replace(self._there, swept_at=now)
            return (), ()
        self._catch_up()
        held = self._there.held_until
        # the server alone removes: never before `held_until`, only doubts are told
        state = replace(self._there, held_until=held if late else inf)
        swept, effects = reduce(state, Swept(interval=self._rules.sweep_s), now)
        self.state = swept if late else replace(swept, held_until=held)
        told = tuple(effect.change for effect in effects if isinstance(effect, Told))
        return told, () if late else self._departing(now)

    def _is_troubled(self, now: float) -> bool:
        state, since = self._there, now - leases.OVERDUE * self._rules.heartbeat_s
        if state.histories or state.preserving or any(each.doubt for each in state.shown.values()):
            return True
        heard = self._heard
        return any(
            heard.get(node_id, entry.seen_at) < since or entry.down_at is not None
            for node_id, entry in state.entries.items()
        )

    def _departing(self, now: float) -> tuple[Departing, ...]:
        state = self._there
        if now < state.held_until:
            return ()
        verdict = silenced(state, now, 0.0)  # the same order for all readers: else each would remove another one
        if state.preserving and not verdict.preserving:
            held_until = max(state.held_until, now + RETURN * self._rules.heartbeat_s)
            self.state = replace(state, preserving=False, held_until=held_until)
            return ()
        recent = tuple(at for at in state.silenced if now - at < self._rules.lease_s)
        self.state = replace(state, preserving=verdict.preserving, silenced=recent)
        lost = [node_id for node_id, entry in state.entries.items() if leases.gone(entry, self._rules, now)]
        return tuple(
            Departing(node_id=each, counter=state.entries[each].generation.counter, mark=self.marks[each])
            for each in (*lost, *verdict.remove)
        )

    # ---- parts ---------------------------------------------------------------------------------------------------------
    @property
    def _there(self) -> State:
        assert self.state is not None
        return self.state

    def _generation(self, counter: int) -> Generation:
        return Generation(epoch=self._there.epoch, counter=counter)

    def _is_well(self, node_id: str, entry: Entry) -> bool:
        shown = self._there.shown.get(node_id)
        return entry.down_at is None and shown is not None and shown.doubt is None

    def _step(self, step: Step, now: float) -> tuple[Change, ...]:
        self.state, effects = reduce(self._there, step, now)
        return tuple(effect.change for effect in effects if isinstance(effect, Told))

    def _catch_up(self) -> None:
        """What was heard since goes into the state."""
        if self._heard:
            entries = dict(self._there.entries)
            for node_id, at in self._heard.items():
                if node_id in entries:
                    entries[node_id] = replace(entries[node_id], seen_at=at)
            self.state, self._heard = replace(self._there, entries=entries), {}
