"""Any sequence of steps: expired leases are never returned, watchers agree with the state, generations only grow."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from vyked_host.catalog import query
from vyked_host.catalog.reduce import reduce
from vyked_host.catalog.state import Announced, Granted, Lost, Refused, Renewed, State, Swept, Told, Updated, Withdrawn
from vyked_host.contracts import Generation, Instance, NodeRecord

LEASE_S = 10.0


def record(node_id, services):
    instances = tuple(Instance(service=each, version="1.0.0", status="active") for each in sorted(services))
    return NodeRecord(node_id=node_id, namespace="m", addresses=(), instances=instances)


nodes = st.sampled_from(["a", "b", "c"])
services = st.sets(st.sampled_from(["shop", "cart"]))


class Registry(RuleBasedStateMachine):
    generations = Bundle("generations")

    def __init__(self):
        super().__init__()
        self.state = State(namespace="m", epoch=1, lease_s=LEASE_S)
        self.now = 0.0
        self.holders = {}  # the model: node id -> (generation, record, end of the lease)
        self.told = {}
        self.revision = 0
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
        self.told |= {record.node_id: (generation, record) for generation, record in change.nodes}
        for node_id in change.gone:
            del self.told[node_id]

    @rule(target=generations, node_id=nodes, services=services)
    def announce(self, node_id, services):
        effects = self.step(Announced(record=record(node_id, services)))
        granted = next(effect for effect in effects if isinstance(effect, Granted))
        assert granted.generation.counter > max(self.counters)
        assert any(isinstance(effect, Lost) for effect in effects) == (node_id in self.holders)
        self.counters.append(granted.generation.counter)
        self.holders[node_id] = (granted.generation, record(node_id, services), self.now + LEASE_S)
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
        else:
            assert isinstance(effects[0], Granted)
            self.holders[who[0]] = (holder[0], changed or holder[1], self.now + LEASE_S)

    @rule(who=generations)
    def withdraw(self, who):
        effects = self.step(Withdrawn(node_id=who[0], generation=who[1]))
        holder = self.holders.get(who[0])
        if holder is not None and holder[0] == who[1]:
            del self.holders[who[0]]
        else:
            assert [type(effect) for effect in effects] == [Refused]

    @rule(who=generations)
    def speak_for_another_epoch(self, who):
        stranger = Generation(epoch=2, counter=who[1].counter)
        assert isinstance(self.step(Renewed(node_id=who[0], generation=stranger))[0], Refused)

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def sweep(self):
        late = self.now - self.state.swept_at > 2.0
        effects = self.step(Swept(interval=1.0))
        ended = {node_id for node_id, (_, _, end) in self.holders.items() if end <= self.now}
        assert {effect.node_id for effect in effects if isinstance(effect, Lost)} == (set() if late else ended)
        if not late:
            self.holders = {node_id: each for node_id, each in self.holders.items() if node_id not in ended}

    @invariant()
    def a_lease_that_ended_is_never_returned(self):
        living = {node_id for node_id, (_, _, end) in self.holders.items() if self.now < end}
        assert {each.node_id for each in query.nodes(self.state, self.now)} == living

    @invariant()
    def who_followed_the_deltas_knows_what_a_snapshot_says(self):
        snapshot = query.snapshot(self.state)
        assert {node.node_id: (generation, node) for generation, node in snapshot.nodes} == self.told
        assert snapshot.revision == self.revision


Registry.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRegistry = Registry.TestCase
