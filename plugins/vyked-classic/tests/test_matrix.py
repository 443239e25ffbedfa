"""Old and new registries, services and consumers in every combination, all of them real processes."""

import itertools

import pytest
from processes import eventually, soon
from systems import System

KINDS = ("old", "new")
COMBINATIONS = list(itertools.product(KINDS, KINDS, KINDS))
DATA = {"a": 1, "neg": -5, "x": None, "b": True, "f": 1.5, "u": "é", "list": [[], {}]}


class Party:
    """One combination, running: two services, one consumer."""

    def __init__(self, run, redis, kinds):
        registry, self.kind, consumer = kinds
        self.system = System(run, redis, registry)
        self.services = [self.system.service(self.kind) for _ in range(2)]
        self.consumer = self.system.consumer(consumer)
        self.consumer.ready()
        self.is_new_consumer = consumer == "new"
        self.n = 0

    def tick(self):
        """Let the first service publish; the number of the event."""
        self.n += 1
        if self.kind == "old":
            self.services[0].tell(do="publish", event="ticked", payload={"n": self.n, "who": "old"})
        else:
            assert self.consumer.call("tick", n=self.n)["result"] is None
        return self.n

    def nodes(self):
        """The ids of those who answer now, once there are two."""
        seen = set()

        def both():
            seen.add(self.consumer.call("whoami")["result"])
            return len(seen) == 2 and seen

        return eventually(both)


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def party(request, redis):
    started = []

    def run(process):
        started.append(process)
        return process

    try:
        yield Party(run, redis, request.param)
    finally:
        for each in started:
            each.close()


def test_an_api_is_called(party):
    assert party.consumer.call("echo", data=DATA)["result"] == DATA


def test_an_error_has_its_text(party):
    assert party.consumer.failed("boom", data=1) == ("failed", "boom 1")


def test_1_the_service_s_own_error_is_one_that_was_handled(party):
    assert party.consumer.failed("handled", data=2) == ("handled", "handled 2")


def test_2_a_timeout_of_the_api_is_told(party):
    kind, text = party.consumer.failed("slow", seconds=3)
    assert kind == "failed"
    if party.kind == "new":
        assert "slow" in text
        assert "1 s" in text
    elif party.is_new_consumer:
        assert "time limit" in text, "an old service says nothing: what that may mean is told"


def test_a_deprecated_api_says_what_to_call(party):
    answer = party.consumer.call("old_echo", data=3)
    assert answer["result"] == 3
    if party.is_new_consumer:
        party.consumer.process.logged("Deprecated API: echo.old_echo, New API: echo")
    else:
        assert (answer["old_api"], answer["replacement_api"]) == ("old_echo", "echo")


def test_calls_go_to_all_instances_and_those_of_an_entity_to_one(party):
    assert len(party.nodes()) == 2
    for entity in ("ada", "bob", "cleo"):
        assert len({party.consumer.call("whoami", entity=entity)["result"] for _ in range(6)}) == 1


def test_an_event_comes_once_each_way(party):
    n = party.tick()
    eventually(lambda: party.consumer.events("subscribe", n) and party.consumer.events("xsubscribe", n))
    after = party.tick()
    eventually(lambda: party.consumer.events("subscribe", after) and party.consumer.events("xsubscribe", after))
    assert len(party.consumer.events("subscribe", n)) == 1
    assert len(party.consumer.events("xsubscribe", n)) == 1


def test_a_second_consumer_gets_events_too_and_one_of_the_two_those_that_are_for_one(party):
    other = party.system.consumer("new" if party.is_new_consumer else "old").ready()
    both = (party.consumer, other)
    n = party.tick()
    eventually(lambda: all(each.events("subscribe", n) for each in both))
    eventually(lambda: any(each.events("xsubscribe", n) for each in both))
    after = party.tick()
    eventually(lambda: any(each.events("xsubscribe", after) for each in both))
    assert sum(len(each.events("xsubscribe", n)) for each in both) == 1
    other.process.close()


def test_restarts_of_a_service_of_the_registry_and_of_the_consumer_are_survived(party):
    consumer, system = party.consumer, party.system
    before = party.nodes()
    party.services[1].close()
    party.services[1] = system.service(party.kind)
    eventually(lambda: consumer.call("whoami").get("result") not in {*before, None})

    known = {*before, *party.nodes()}
    system.restart_registry()
    third = system.service(party.kind)
    eventually(lambda: consumer.call("whoami").get("result") not in {*known, None})
    published = []

    def hears():  # a publisher asks the new registry, where the consumer may not be back yet
        published.append(party.tick())
        return soon(
            lambda: consumer.events("subscribe", published[-1]) and consumer.events("xsubscribe", published[-1])
        )

    eventually(hears)
    most = max(len(consumer.events(how, n)) for n in published for how in ("subscribe", "xsubscribe"))
    assert most == 1, "19: once, however often the registry starts anew"
    third.close()

    consumer.process.close()
    again = system.consumer("new" if party.is_new_consumer else "old").ready()
    assert again.call("echo", data=DATA)["result"] == DATA
