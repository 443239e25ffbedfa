"""Instances that are new, or back, get their share by and by; and who may be chosen is worked out when it changes, not per call."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.runtime.test_directory import NOW, Directory, link_to, record, told
from vyked_host.builtin.balancers.affinity import Hash
from vyked_host.builtin.balancers.load import LeastPending
from vyked_host.builtin.balancers.spread import Random, RoundRobin
from vyked_host.model.message import Call
from vyked_host.model.settings import ClientTable
from vyked_host.model.topology import NodeRecord
from vyked_host.runtime.directory import Target
from vyked_host.runtime.instances import Instance
from vyked_host.runtime.warm_up import WarmUp

WINDOW = 10.0
CALLS = 4000


class Client:
    """A client of `shop` and its time."""

    def __init__(self, strategy: Any = Random, seed: int = 5) -> None:
        chance = random.Random(seed).random
        self.seconds, self.updates = 0.0, 0
        self.balancer = strategy(chance)
        self.directory = Directory(link_to(NodeRecord(node_id="home", namespace="t", addresses=(), instances=())))
        self.directory.dial_with(link_to)
        warm_up = WarmUp(WINDOW, lambda: self.seconds, chance)
        self.target = self.directory.follow(Target("shop", None, ClientTable(), self, "home", warm_up))
        self.directory.apply(told(snapshot=True), NOW)

    def update(self, candidates: Sequence[Any]) -> None:
        self.updates += 1
        self.balancer.update(candidates)

    def choose(self, call: Call) -> Any:
        return self.balancer.choose(call)

    def sees(self, *node_ids: str) -> None:
        self.directory.apply(told(*(record(each) for each in node_ids)), NOW)

    def called(self, entity: str | None = None, calls: int = CALLS) -> Counter[str]:
        call = Call(0, 0, "", None, 0.0, entity=entity)
        return Counter(self.target.choose(call).node_id for _ in range(calls))

    def named(self, node_id: str) -> Instance:
        return self.target.named(node_id)


@pytest.mark.parametrize("strategy", [Random, RoundRobin, LeastPending])
def test_a_new_instance_gets_its_share_by_and_by_under_any_balancer(strategy: Any) -> None:
    client = Client(strategy)
    client.sees("a", "b", "c")
    client.seconds = 2 * WINDOW
    client.sees("new")
    seen = []
    for at in (0.0, 0.25, 0.5, 0.75, 1.0):
        client.seconds = (2 + at) * WINDOW
        seen.append(client.called()["new"] / CALLS)
    expected = [part / (3 + part) for part in (0.1, 0.25, 0.5, 0.75, 1.0)]
    assert seen == pytest.approx(expected, abs=0.03)  # four standard deviations of the largest: 0.027


def test_an_instance_that_is_back_warms_up_again() -> None:
    client = Client()
    client.sees("a", "b")
    client.seconds = 2 * WINDOW
    client.named("a").usable = False
    assert client.called() == {"b": CALLS}
    client.named("a").recover()
    assert client.called()["a"] / CALLS == pytest.approx(0.1 / 1.1, abs=0.03)
    client.seconds += WINDOW
    assert client.called()["a"] / CALLS == pytest.approx(1 / 2, abs=0.04)


def test_where_all_are_equally_new_nobody_waits() -> None:
    client = Client(RoundRobin)
    client.sees("a", "b", "c", "d")
    assert set(client.called().values()) == {CALLS // 4}


def test_the_only_one_takes_everything_however_new() -> None:
    client = Client()
    client.sees("a")
    assert client.called() == {"a": CALLS}


def test_what_belongs_together_is_not_sent_elsewhere_for_warming_up() -> None:
    client = Client(Hash)
    client.sees("a", "b", "c")
    client.seconds = 2 * WINDOW
    client.sees("new")
    owners = [client.called(f"e{at}", 20) for at in range(40)]
    assert all(len(each) == 1 for each in owners)
    assert any("new" in each for each in owners)


def test_when_it_is_over_nothing_of_it_is_left() -> None:
    client = Client()
    client.sees("a", "b")
    client.seconds = WINDOW
    client.called(calls=1)
    assert not client.target._warm_up.is_on


# ---- who may be chosen -----------------------------------------------------------------------------------------------
class Asked(Instance):
    """Counts who asks whether it is usable."""

    asked = 0

    @property
    def usable(self) -> bool:
        Asked.asked += 1
        return self._usable

    @usable.setter
    def usable(self, value: bool) -> None:
        self._usable = value
        self._changed(self)


@pytest.mark.parametrize("strategy", [Random, RoundRobin, LeastPending])
def test_two_hundred_known_of_which_two_are_usable_cost_what_two_cost(
    strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vyked_host.runtime.directory.Instance", Asked)
    client = Client(strategy)
    client.sees(*(f"n{at:03}" for at in range(200)))
    for at in range(198):
        client.named(f"n{at:03}").usable = False
    before = client.updates
    assert set(client.called(calls=10)) == {"n198", "n199"}
    assert client.updates == before + 1  # for all 198 at once
    Asked.asked = 0
    assert set(client.called()) == {"n198", "n199"}
    assert (Asked.asked, client.updates) == (0, before + 1)


def test_while_none_is_usable_all_are_tried() -> None:
    client = Client()
    client.sees("a", "b")
    client.named("a").usable = client.named("b").usable = False
    assert set(client.called()) == {"a", "b"}


def test_one_that_left_says_nothing_any_more() -> None:
    client = Client()
    client.sees("a", "b")
    left = client.named("b")
    client.directory.apply(told(gone=("b",)), NOW)
    before = client.updates
    left.usable = False
    assert client.called() == {"a": CALLS}
    assert client.updates == before


def test_the_instance_of_this_node_is_passed_over_while_it_is_not_usable() -> None:
    client = Client()
    client.directory.set_home(record("home"))
    client.sees("a")
    assert client.called(calls=9) == {"home": 9}
    client.named("home").usable = False
    assert client.called(calls=9) == {"a": 9}
    client.named("home").recover()
    assert client.called(calls=9) == {"home": 9}
