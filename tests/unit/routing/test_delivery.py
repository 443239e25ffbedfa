"""Who of a group gets an event."""

from collections import Counter
from random import Random

import pytest

from vyked_host.model.description import EventNeeds, ServiceDescription, SubscriptionDescription
from vyked_host.model.message import Guarantees
from vyked_host.routing.delivery import Group, lack, lacks


def group(strategy, *members, seed=1):
    made = Group(strategy, Random(seed).random)
    for member in members:
        made.join(member)
    return made


def test_any_takes_turns_and_random_is_even():
    anybody = group("any", "a", "b", "c")
    assert anybody.owner("k") is None
    assert Counter(anybody.pick(["a", "b", "c"]) for _ in range(30)) == {"a": 10, "b": 10, "c": 10}
    chance = group("random", "a", "b", "c")
    counts = Counter(chance.pick(["a", "b", "c"]) for _ in range(3000))
    assert all(850 < count < 1150 for count in counts.values())


def test_the_leader_is_who_joined_first():
    led = group("leader", "b", "a")
    assert led.owner(None) == "b"
    led.leave("b")
    assert led.owner("k") == "a"
    led.leave("a")
    assert led.owner("k") is None
    assert led.members == ()


def test_a_key_has_one_owner_and_moves_only_when_that_one_leaves():
    keyed = group("keyed", "a", "b", "c")
    owners = {f"k{at}": keyed.owner(f"k{at}") for at in range(200)}
    assert set(owners.values()) == {"a", "b", "c"}
    keyed.leave("b")
    assert all(keyed.owner(key) == owner for key, owner in owners.items() if owner != "b")
    assert keyed.owner(None) is None


def test_who_may_miss_events_is_content_with_one_of_a_group():
    wanted = SubscriptionDescription(service="a", major=1, event="e", handler="h", payload=None, exclusive=True)
    may_miss = SubscriptionDescription(
        service="a", major=1, event="e", handler="h", payload=None, exclusive=True, may_miss=True
    )
    once, none, least = Guarantees(one_of_group=True), Guarantees(), Guarantees(at_least_once=True)
    assert [bool(lack(wanted, given)) for given in (once, none, least)] == [True, True, False]
    assert [bool(lack(may_miss, given)) for given in (once, none, least)] == [False, True, False]


def test_who_wants_no_duplicates_needs_a_bus_that_knows_events_again():
    wanted = SubscriptionDescription(
        service="a", major=1, event="e", handler="h", payload=None, exclusive=True, dedupe=True
    )
    assert "dedupe=True" in lack(wanted, Guarantees(at_least_once=True))
    assert lack(wanted, Guarantees(at_least_once=True, dedupe_s=600.0)) == ""


@pytest.mark.parametrize(
    ("needs", "given", "words"),
    [
        (EventNeeds(durability="process"), Guarantees(), "durability 'process', it has 'memory'"),
        (EventNeeds(durability="disk"), Guarantees(durability="process"), 'durability = "disk"'),
        (EventNeeds(ordered=True), Guarantees(), "in order"),
        (EventNeeds(largest=2 << 20), Guarantees(), "events of 2097152 bytes"),
    ],
)
def test_what_a_service_needs_and_a_bus_has_not_is_told_with_the_name_of_the_service(needs, given, words):
    (told,) = lacks(ServiceDescription(name="ledger", version="1.0.0", cls=object, event_needs=needs), given)
    assert told.startswith("ledger.event_needs: ")
    assert words in told


def test_a_bus_that_has_more_than_is_needed_will_do():
    needs = EventNeeds(durability="process", ordered=True, largest=1000)
    plenty = Guarantees(durability="disk", ordered="publisher")
    assert lacks(ServiceDescription(name="ledger", version="1.0.0", cls=object, event_needs=needs), plenty) == []
