"""Any sequence of steps: nobody goes before its time, watchers agree with the state, generations only grow; any sequence of
changes: a view never goes back and forgets nobody early."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from vyked_host.catalog import query
from vyked_host.catalog.reduce import reduce
from vyked_host.catalog.state import (
    Announced,
    Disconnected,
    Granted,
    Lost,
    Refused,
    Renewed,
    Rules,
    State,
    Swept,
    Told,
    Updated,
    Withdrawn,
)
from vyked_host.catalog.view import View, forget, merge
from vyked_host.contracts import Change, Generation, Instance, NodeRecord

RULES = Rules(heartbeat_s=2.0, lease_s=6.0, gone_after_s=2.0)


def record(node_id, services):
    instances = tuple(Instance(service=each, version="1.0.0", status="active") for each in sorted(services))
    return NodeRecord(node_id=node_id, namespace="m", addresses=(), instances=instances)


nodes = st.sampled_from(["a", "b", "c"])
services = st.sets(st.sampled_from(["shop", "cart"]))


class Registry(RuleBasedStateMachine):
    generations = Bundle("generations")

    def __init__(self):
        super().__init__()
        self.state = State(namespace="m", epoch=1, rules=RULES)
        self.now = 0.0
        self.holders = {}  # the model: node id -> [generation, record, last sign of life, when its connection was lost]
        self.told = {}
        self.revision = self.fenced = 0
        self.counters = [0]

    def step(self, step):
        self.state, effects = reduce(self.state, step, self.now)
        for effect in effects:
            if isinstance(effect, Told):
                self.hear(effect.change)
        return effects

    def hear(self, change):
        assert change.revision == self.revision + 1
        self.revision = change.revision
        for node_id in change.gone:
            del self.told[node_id]
        for generation, record in change.nodes:
            self.told[record.node_id] = (generation, record, change.doubts.get(record.node_id))

    @rule(target=generations, node_id=nodes, services=services, life=st.integers(1, 2))
    def announce(self, node_id, services, life):
        effects = self.step(Announced(record=record(node_id, services), life=life))
        granted = next(effect for effect in effects if isinstance(effect, Granted))
        assert granted.generation.counter > max(self.counters)
        assert any(isinstance(effect, Lost) for effect in effects) == (node_id in self.holders)
        self.counters.append(granted.generation.counter)
        self.holders[node_id] = [granted.generation, record(node_id, services), self.now, None]
        return node_id, granted.generation

    @rule(who=generations)
    def renew(self, who):
        self.judged(who, self.step(Renewed(node_id=who[0], generation=who[1])), None)

    @rule(who=generations, services=services)
    def update(self, who, services):
        changed = record(who[0], services)
        self.judged(who, self.step(Updated(generation=who[1], record=changed)), changed)

    def judged(self, who, effects, changed):
        holder = self.holders.get(who[0])
        if holder is None or holder[0] != who[1]:
            assert [type(effect) for effect in effects] == [Refused]
            self.fenced += 1
        else:
            assert isinstance(effects[0], Granted)
            self.holders[who[0]] = [holder[0], changed or holder[1], self.now, None]

    @rule(who=generations)
    def withdraw(self, who):
        effects = self.step(Withdrawn(node_id=who[0], generation=who[1]))
        holder = self.holders.get(who[0])
        if holder is not None and holder[0] == who[1]:
            del self.holders[who[0]]
            assert who[0] not in self.told
        else:
            assert [type(effect) for effect in effects] == [Refused]
            self.fenced += 1

    @rule(who=generations)
    def lose_the_connection(self, who):
        is_blind = self.now < self.state.blind_until or self.now - self.state.swept_at > 2.0
        self.step(Disconnected(node_id=who[0], generation=who[1]))
        holder = self.holders.get(who[0])
        is_fresh = holder is not None and holder[3] is None and self.now - holder[2] <= 3.0
        if holder is not None and holder[0] == who[1] and is_fresh and not is_blind:
            holder[3] = self.now
            assert self.told.get(who[0], (0, 0, "down"))[2] == "down"

    @rule(who=generations)
    def speak_for_another_epoch(self, who):
        stranger = Generation(epoch=2, counter=who[1].counter)
        assert isinstance(self.step(Renewed(node_id=who[0], generation=stranger))[0], Refused)
        self.fenced += 1

    @rule(seconds=st.floats(0.0, 8.0))
    def wait(self, seconds):
        self.now += seconds

    @rule(chance=st.floats(0.0, 0.99))
    def sweep(self, chance):
        late = self.now - self.state.swept_at > 2.0
        effects = self.step(Swept(interval=1.0, chance=chance))
        ended = {effect.node_id for effect in effects if isinstance(effect, Lost)}
        assert not (late and ended)
        for node_id in ended:
            _, _, seen, down = self.holders.pop(node_id)
            assert self.now - seen >= RULES.lease_s if down is None else self.now - down >= RULES.gone_after_s

    @invariant()
    def nobody_went_that_should_not_and_every_stale_message_was_counted(self):
        assert {node_id: (each.generation, each.record) for node_id, each in self.state.entries.items()} == {
            node_id: (generation, record) for node_id, (generation, record, _, _) in self.holders.items()
        }
        assert self.state.fenced == self.fenced

    @invariant()
    def who_followed_the_deltas_knows_what_a_snapshot_says(self):
        snapshot = query.snapshot(self.state)
        known = {
            node.node_id: (generation, node, snapshot.doubts.get(node.node_id)) for generation, node in snapshot.nodes
        }
        assert known == self.told
        assert snapshot.revision == self.revision

    @invariant()
    def watchers_know_nobody_who_is_not_there(self):
        assert set(self.told) <= set(self.holders)


Registry.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRegistry = Registry.TestCase


# ---- the other side ----------------------------------------------------------------------------------------------------
changes = st.builds(
    lambda epoch, revision, snapshot, told, gone: Change(
        epoch=epoch, revision=revision, snapshot=snapshot, gone=tuple(gone - told),
        nodes=tuple((Generation(epoch=epoch, counter=1), record(each, ["shop"])) for each in sorted(told)),
    ),
    st.integers(1, 3), st.integers(0, 6), st.booleans(), st.sets(nodes), st.sets(nodes),
)  # fmt: skip


@given(st.lists(st.tuples(st.floats(0.0, 4.0), changes), max_size=30))
def test_a_view_never_goes_back_and_an_epoch_that_begins_takes_nobody_away(steps):
    view, now, seen, left = View(), 0.0, {}, set()
    for wait, change in steps:
        now += wait
        before, view = view, forget(view, now)
        assert {node_id for node_id in before.nodes if node_id not in view.nodes} <= {
            node_id for node_id, known in before.nodes.items() if known.until is not None and known.until <= now
        }
        before, view = view, merge(view, change, now, 10.0)
        assert view.epoch not in left
        if view.epoch != before.epoch:
            left |= {before.epoch} - {None}
            assert set(before.nodes) - set(change.gone) <= set(view.nodes)
            assert all(known.doubt is not None for known in view.nodes.values() if known.until is not None)
        elif view is not before:
            assert view.revision >= before.revision
        assert view.revision >= seen.get(view.epoch, 0)
        seen[view.epoch] = view.revision
