"""Near instances first, in turn; far ones while no near one is usable."""

import logging
import random
from types import SimpleNamespace
from typing import Any

from vyked_zone.balancer import Zone
from vyked_zone.options import Options
from vyked_zone.plugin import Plugin

from vyked_host.loading import load


def candidate(node: str, zone: str = "", usable: bool = True) -> Any:
    labels = {"zone": zone} if zone else {}
    return SimpleNamespace(node_id=node, labels=labels, weight=1.0, in_flight=0, ewma_s=0.0, usable=usable)


def zone(*candidates: Any, own: str = "a") -> Zone:
    balancer = Zone("zone", own, random.Random(1))
    balancer.update(candidates)
    return balancer


def chosen(balancer: Zone, calls: int = 60) -> list[str]:
    return [balancer.choose(None).node_id for _ in range(calls)]  # type: ignore[arg-type]


def test_near_instances_share_all_calls_evenly() -> None:
    picks = chosen(zone(candidate("n1", "a"), candidate("n2", "b"), candidate("n3", "a"), candidate("n4")))
    assert {node: picks.count(node) for node in picks} == {"n1": 30, "n3": 30}


def test_far_instances_take_over_while_no_near_one_is_there() -> None:
    near, far = candidate("n1", "a"), [candidate("n2", "b"), candidate("n3", "b")]
    balancer = zone(*far)
    assert set(chosen(balancer)) == {"n2", "n3"}
    balancer.update([near, *far])
    assert set(chosen(balancer)) == {"n1"}


def test_when_none_is_usable_a_candidate_is_still_named() -> None:
    assert chosen(zone(candidate("n1", "b", usable=False)), 1) == ["n1"]


def test_without_a_zone_of_ones_own_all_are_near() -> None:
    picks = chosen(zone(candidate("n1", "a"), candidate("n2"), own=""))
    assert {node: picks.count(node) for node in picks} == {"n1": 30, "n2": 30}


def test_instances_that_left_are_never_chosen() -> None:
    balancer = zone(candidate("n1", "a"), candidate("n2", "a"))
    balancer.update([candidate("n3", "b")])
    assert set(chosen(balancer)) == {"n3"}


def environment() -> Any:
    return SimpleNamespace(rng=random.Random(1), log=logging.getLogger("zone"))


def test_the_zone_is_the_label_of_the_host_unless_told() -> None:
    plugin = Plugin()
    plugin.vyked_configure({"host": {"labels": {"zone": "b"}}})
    (provider,) = plugin.vyked_balancers()
    for options, expected in ((Options(), "n2"), (Options(own="a"), "n1")):
        balancer = provider.build(options, environment())
        balancer.update([candidate("n1", "a"), candidate("n2", "b")])
        assert balancer.choose(None).node_id == expected  # type: ignore[arg-type]


def test_a_host_without_the_label_is_told(caplog: Any) -> None:
    (provider,) = Plugin().vyked_balancers()
    provider.build(Options(), environment())
    assert "has no 'zone'" in caplog.text


def test_it_is_found_by_name_when_installed() -> None:
    catalogue = load(environ={})
    catalogue.hooks.configure({"host": {"labels": {"zone": "a"}}})
    assert catalogue.provider("balancer", "zone").options is Options
