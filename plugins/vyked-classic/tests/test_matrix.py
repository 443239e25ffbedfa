"""Old and new registries, services and consumers in every combination, all of them real processes.

For each kind of registry there is one system with services and consumers of both kinds: each consumer calls and hears each vendor.
"""

import itertools

import pytest
from processes import eventually, soon
from systems import System, served

KINDS = ("old", "new")
VENDORS = {"old": "oldecho", "new": "newecho"}
CONSUMERS = {"old": "oldbench", "new": "newbench"}
DATA = {"a": 1, "neg": -5, "x": None, "b": True, "f": 1.5, "u": "é", "list": [[], {}]}


class Whole:
    """A registry, two services of each kind, a consumer of each kind."""

    def __init__(self, run, redis, registry):
        self.system, self.n = System(run, redis, registry), 0
        self.services = {kind: [self.started(kind) for _ in range(2)] for kind in KINDS}
        self.consumers = {kind: self.consumer(kind, CONSUMERS[kind]) for kind in KINDS}
        for kind in KINDS:
            for each in self.services[kind]:
                served(kind, each)
            self.consumers[kind].ready()

    def started(self, kind):
        return self.system.service(kind, VENDORS[kind])

    def consumer(self, kind, name):
        return self.system.consumer(kind, tuple(VENDORS.values()), name)

    def party(self, service, consumer):
        return Party(self, service, self.consumers[consumer], consumer == "new")

    def parties(self):
        return [self.party(*kinds) for kinds in itertools.product(KINDS, KINDS)]


class Party:
    """One combination of it."""

    def __init__(self, whole, kind, consumer, is_new_consumer):
        self.whole, self.kind, self.consumer, self.is_new_consumer = whole, kind, consumer, is_new_consumer
        self.vendor = VENDORS[kind]

    def call(self, endpoint, **payload):
        return self.consumer.call(endpoint, self.vendor, **payload)

    def failed(self, endpoint, **payload):
        return self.consumer.failed(endpoint, self.vendor, **payload)

    def tick(self):
        """Let the first service publish; the number of the event."""
        self.whole.n += 1
        if self.kind == "old":
            payload = {"n": self.whole.n, "who": "old"}
            self.whole.services["old"][0].tell(do="publish", event="ticked", payload=payload)
        else:
            assert self.call("tick", n=self.whole.n)["result"] is None
        return self.whole.n

    def nodes(self):
        """The ids of those who answer now, once there are two."""
        seen = set()

        def both():
            seen.add(self.call("whoami")["result"])
            return len(seen) == 2 and seen

        return eventually(both)


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.xdist_group(f"matrix-{kind}")) for kind in KINDS]
)
def whole(request, redis):
    started = []

    def run(process):
        started.append(process)
        return process

    try:
        yield Whole(run, redis, request.param)
    finally:
        for each in started:
            each.close()


@pytest.fixture(params=itertools.product(KINDS, KINDS), ids="-".join)
def party(request, whole):
    return whole.party(*request.param)


def test_an_api_is_called(party):
    assert party.call("echo", data=DATA)["result"] == DATA


def test_an_error_has_its_text(party):
    assert party.failed("boom", data=1) == ("failed", "boom 1")


def test_1_the_service_s_own_error_is_one_that_was_handled(party):
    assert party.failed("handled", data=2) == ("handled", "handled 2")


def test_2_a_timeout_of_the_api_is_told(party):
    kind, text = party.failed("slow", seconds=3)
    assert kind == "failed"
    if party.kind == "new":
        assert "slow" in text
        assert "0.5 s" in text
    elif party.is_new_consumer:
        assert "time limit" in text, "an old service says nothing: what that may mean is told"


def test_a_deprecated_api_says_what_to_call(party):
    answer = party.call("old_echo", data=3)
    assert answer["result"] == 3
    if party.is_new_consumer:
        party.consumer.process.logged(f"Deprecated API: {party.vendor}.old_echo, New API: echo")
    else:
        assert (answer["old_api"], answer["replacement_api"]) == ("old_echo", "echo")


def test_calls_go_to_all_instances_and_those_of_an_entity_to_one(party):
    assert len(party.nodes()) == 2
    for entity in ("ada", "bob", "cleo"):
        assert len({party.call("whoami", entity=entity)["result"] for _ in range(6)}) == 1


def test_an_event_comes_once_each_way(party):
    events = party.consumer.events
    n = party.tick()
    eventually(lambda: events("subscribe", n) and events("xsubscribe", n))
    after = party.tick()
    eventually(lambda: events("subscribe", after) and events("xsubscribe", after))
    assert len(events("subscribe", n)) == 1
    assert len(events("xsubscribe", n)) == 1


def test_a_second_consumer_gets_events_too_and_one_of_the_two_those_that_are_for_one(whole):
    """The second instance is a new one: beside an old one, as while one moves, and beside a new one."""
    seconds = {kind: whole.consumer("new", CONSUMERS[kind]) for kind in KINDS}
    groups = [(whole.consumers[kind], seconds[kind].ready()) for kind in KINDS]
    for party in whole.parties()[::2]:  # each vendor
        events = []
        for _ in range(2):  # once the second came, nothing of the first one is on its way any more
            events.append(n := party.tick())
            for both in groups:
                eventually(lambda both=both, n=n: all(each.events("subscribe", n) for each in both))
                eventually(lambda both=both, n=n: any(each.events("xsubscribe", n) for each in both))
        for both in groups:
            assert sum(len(each.events("xsubscribe", events[0])) for each in both) == 1, party.vendor
    for each in seconds.values():
        each.process.close()


def found_by_all(whole, before):
    """Each consumer is answered by an instance of each vendor that was not there before."""
    for party in whole.parties():
        eventually(lambda party=party: party.call("whoami").get("result") not in {*before[party.vendor], None})


def known(whole):
    """The instances of each vendor, as the new consumer sees them."""
    return {party.vendor: party.nodes() for party in whole.parties() if party.is_new_consumer}


def test_a_service_that_is_restarted_is_found_again(whole):
    before = known(whole)
    for kind in KINDS:
        whole.services[kind][1].close()
        whole.services[kind][1] = whole.started(kind)
    found_by_all(whole, before)


def test_a_registry_that_is_restarted_has_everybody_again(whole):
    before = known(whole)
    whole.system.restart_registry()
    third = [whole.started(kind) for kind in KINDS]
    found_by_all(whole, before)
    for party in whole.parties():
        events, published = party.consumer.events, []

        def hears(party=party, events=events, published=published):
            # who publishes asks the new registry, where the consumer may not be back yet
            published.append(party.tick())
            return soon(lambda: events("subscribe", published[-1]) and events("xsubscribe", published[-1]))

        eventually(hears)
        most = max(len(events(how, n)) for n in published for how in ("subscribe", "xsubscribe"))
        assert most == 1, "19: once, however often the registry starts anew"
    for each in third:
        each.close()


def test_a_consumer_that_is_restarted_calls_again(whole):
    for each in whole.consumers.values():
        each.process.close()
    whole.consumers = {kind: whole.consumer(kind, CONSUMERS[kind]) for kind in KINDS}
    for kind in KINDS:
        whole.consumers[kind].ready()
    for party in whole.parties():
        assert party.call("echo", data=DATA)["result"] == DATA
