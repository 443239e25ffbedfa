"""Facts in, findings out: what can't be staged with hosts in a moment, and that each finding has its words."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import Any

import msgspec
import pytest

from vyked_host.catalog import explain_call, explain_event, explain_service
from vyked_host.catalog.explain_call import CallFacts, why_call
from vyked_host.catalog.explain_event import EventFacts, why_event
from vyked_host.catalog.explain_service import Answer, ServiceFacts, why_service
from vyked_host.catalog.findings import Finding, Silent
from vyked_host.cli.words import WORDS, sentence
from vyked_host.model.report import (
    DeadLetter,
    DeliveryReport,
    Departure,
    FailedCall,
    InstanceReport,
    Moment,
    Need,
    NodeReport,
    Publication,
    Seen,
    SubscriptionReport,
    Trail,
    View,
)

MODULES = (explain_call, explain_event, explain_service)


def report(node: str, *instances: InstanceReport, **more: Any) -> NodeReport:
    plain: dict[str, Any] = {
        "node": node, "host": node.partition("-")[0], "mesh": "m", "version": "1", "pid": 1, "labels": {}, "phase": "serving",
        "since": 0.0, "uptime_s": 1.0, "now": 100.0, "addresses": (), "instances": instances, "subscriptions": (),
        "in_flight": 0, "waiting": 0, "lag_s": 0.0, "connections": {}, "memory": 0, "published": 0, "publish_failed": 0,
    }  # fmt: skip
    return NodeReport(**plain | more)


def waiting(service: str, *needs: str) -> InstanceReport:
    return InstanceReport(
        service=service, version="1.0.0", status="waiting", since=90.0,
        needs=tuple(Need(service=each, version="1", required=True) for each in needs), missing=needs,
    )  # fmt: skip


def seen(node: str, service: str, **more: Any) -> Seen:
    plain: dict[str, Any] = {"node": node, "service": service, "version": "1.0.0", "status": "active"}
    return Seen(**plain | more)


def answer(
    told: NodeReport, *instances: Seen, gone: tuple[Departure, ...] = (), services: tuple[str, ...] = ()
) -> Answer:
    view = View(node=told.node, instances=instances, gone=gone, services=services)
    return Answer(report=told, view=view)


# ---- services --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        (seen("b", "store", doubt="suspect"), "suspect"),
        (seen("b", "store", doubt="down"), "down"),
        (seen("b", "store", status="draining"), "draining"),
        (seen("b", "store", version="2.0.0"), "wrong_version"),
        (seen("b", "store", status="waiting"), "waiting"),
        (seen("mute", "store"), "silent"),
        (seen("b", "store"), "usable"),
    ],
)
def test_each_reason_for_which_an_instance_does_not_count(instance: Seen, reason: str) -> None:
    facts = ServiceFacts(
        service="front", answers=(answer(report("a", waiting("front", "store")), instance),),
        silent=(Silent(node="mute", reason="refused"),), now=100.0,
    )  # fmt: skip
    assert why_service(facts)[0].causes == ("waiting", "lacks", reason)


def test_every_instance_that_is_known_is_told_with_its_own_reason() -> None:
    gone = Departure(node="c", at=40.0, services=("store@1.0.0",))
    told = answer(
        report("a", waiting("front", "store")), seen("b", "store", version="2.0.0"), seen("d", "store", doubt="down"), gone=(gone,)
    )  # fmt: skip
    (found,) = why_service(ServiceFacts(service="front", answers=(told,), now=100.0))
    (lacks,) = found.because
    assert [each.kind for each in lacks.because] == ["wrong_version", "down", "gone"]
    assert lacks.because[2].about["ago_s"] == 60.0


def test_a_circle_of_three_ends_and_is_told_from_where_it_closes() -> None:
    services = ("a", "b", "c")
    needs = {"a": "b", "b": "c", "c": "a"}
    answers = tuple(
        answer(
            report(f"n{each}", waiting(each, needs[each])),
            *(seen(f"n{one}", one, status="waiting") for one in services),
        )
        for each in services
    )
    (found,) = why_service(ServiceFacts(service="a", answers=answers))
    assert found.causes.count("cycle") == 1
    assert "a -> b -> c -> a" in str(found)


def test_a_service_is_draining_while_its_host_is() -> None:
    drains = report("a", waiting("front"), phase="draining")
    assert why_service(ServiceFacts(service="front", answers=(answer(drains),)))[0].kind == "draining"


# ---- calls -----------------------------------------------------------------------------------------------------------
def failed(side: str = "caller", code: str = "DEADLINE_EXCEEDED", **more: Any) -> FailedCall:
    plain: dict[str, Any] = {
        "id": "a-1", "at": 50.0, "side": side, "node": "a" if side == "caller" else "b", "endpoint": "store.take",
        "caller": "front/1.0.0", "caller_node": "a", "instance": "b", "number": 1, "code": code, "executed": "unknown",
        "budget_s": 2.0,
    }  # fmt: skip
    return FailedCall(**plain | more)


HERE = failed(waiting_s=2.0)
QUIET = Moment(node="b", samples=4, lag_s=0.01, in_flight=3, failed={})


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"caller": failed(dialling_s=1.9, waiting_s=0.1)}, "slow_dial"),
        ({"caller": failed(executed="not_sent")}, "no_time"),
        ({"caller": HERE, "callee": failed("callee", running_s=1.9)}, "slow_handler"),
        ({"caller": HERE, "callee": failed("callee", "CANCELLED", running_s=1.9)}, "slow_handler"),
        ({"callee": failed("callee", "CANCELLED", running_s=1.9)}, "cancelled"),
        ({"callee": failed("callee", "CANCELLED", running_s=1.99)}, "slow_handler"),
        ({"callee": failed("callee", "CANCELLED", queued_s=1.9, running_s=0.09)}, "queued"),
        ({"caller": HERE, "callee": failed("callee", running_s=0.1, queued_s=1.8)}, "queued"),
        ({"caller": HERE, "callee": failed("callee", executed="not_executed")}, "no_time"),
        ({"caller": HERE, "moment": msgspec.structs.replace(QUIET, lag_s=1.5)}, "blocked"),
        ({"caller": HERE, "moment": QUIET}, "late_answer"),
        ({"caller": HERE, "silent": (Silent(node="b", reason="refused"),)}, "node_silent"),
        ({"caller": failed(code="UNAVAILABLE", executed="not_sent", instance="")}, "nobody"),
        ({"caller": failed(code="UNAVAILABLE", executed="not_sent", text="refused")}, "unreachable"),
        ({"caller": failed(code="UNAVAILABLE", text="lost")}, "connection_lost"),
        ({"caller": failed(code="UNAVAILABLE", executed="not_executed")}, "refused"),
        ({"callee": failed("callee", code="UNAVAILABLE", text="front waits for store")}, "refused"),
        ({"caller": failed(code="UNAVAILABLE"), "gone": Departure(node="b", at=49.0, services=())}, "node_lost"),
        ({"callee": failed("callee", code="RESOURCE_EXHAUSTED")}, "full"),
        ({"caller": failed(code="RESOURCE_EXHAUSTED", executed="not_sent")}, "caller_full"),
        ({"callee": failed("callee", code="INTERNAL", cause="KeyError at x.py:1 in f")}, "raised"),
        ({"caller": failed(code="INTERNAL")}, "raised_there"),
        ({"caller": failed(code="APPLICATION", type="sold_out")}, "declared"),
        ({"caller": failed(code="INVALID_ARGUMENT")}, "misfit"),
        ({"caller": failed(code="CANCELLED")}, "cancelled"),
        ({"caller": failed(code="VERSION_MISMATCH", text="1.0.0 is there")}, "told"),
        ({}, "unknown_call"),
    ],
)
def test_the_cause_of_a_call_comes_first(facts: dict[str, Any], cause: str) -> None:
    found = why_call(CallFacts(id="a-1", **facts))
    assert found[0].kind == cause
    for each in found:
        assert sentence(each)


def test_what_else_failed_does_not_count_the_call_itself() -> None:
    moment = msgspec.structs.replace(QUIET, failed={"store.take INTERNAL": 1, "store.put INTERNAL": 3})
    callee = failed("callee", code="INTERNAL")
    found = why_call(CallFacts(id="a-1", callee=callee, moment=moment))
    assert next(each for each in found if each.kind == "others").about["failed"] == "3 x store.put INTERNAL"


# ---- events ----------------------------------------------------------------------------------------------------------
TOPIC = "store.sold@1"


def published(outcome: str = "") -> Publication:
    return Publication(event_id="e", at=50.0, node="a", topic=TOPIC, outcome=outcome, seconds=1.0)


def delivered(verdict: str, group: str | None = "books@1", **more: Any) -> DeliveryReport:
    plain: dict[str, Any] = {
        "event_id": "e", "at": 51.0, "node": "b", "topic": TOPIC, "handler": "books.note", "group": group, "count": 1,
        "verdict": verdict, "cause": "why", "seconds": 0.5,
    }  # fmt: skip
    return DeliveryReport(**plain | more)


def member(group: str | None = "books@1", **more: Any) -> SubscriptionReport:
    plain: dict[str, Any] = {"topic": TOPIC, "handler": "books.note", "group": group, "since": 10.0, "pending": 0}
    return SubscriptionReport(**plain | more)


def facts(*ways: Any, member: SubscriptionReport | None = None, phase: str = "serving", **more: Any) -> EventFacts:
    trail = Trail(
        node="b",
        published=tuple(each for each in ways if isinstance(each, Publication)),
        delivered=tuple(each for each in ways if isinstance(each, DeliveryReport)),
        dead=tuple(each for each in ways if isinstance(each, DeadLetter)),
    )
    told = report("b", subscriptions=(member,) if member else (), phase=phase)
    return EventFacts(id="e", trails=(trail,), reports=(told,), **more)


@pytest.mark.parametrize(
    ("known", "kinds"),
    [
        (facts(published("waiting"), member=member()), ["not_accepted", "not_delivered"]),
        (facts(published("the bus is away")), ["bus_refused"]),
        (facts(published("no ack in time"), delivered("ack"), member=member()), ["bus_refused", "handled"]),
        (facts(delivered("ack"), member=member()), ["publisher_unknown", "handled"]),
        (facts(published(), delivered("retry")), ["published", "no_member"]),
        (facts(published(), delivered("lost"), member=member()), ["published", "cut_off"]),
        (facts(published(), delivered("retry"), delivered("ack", at=52.0), member=member()), ["published", "handled"]),
        (facts(published(), DeadLetter(group="books@1", cause="no", deliveries=5), member=member()), ["published", "dead_letter"]),
        (facts(published(), member=member(), phase="draining"), ["published", "members_drain"]),
        (facts(published(), member=member(pending=4)), ["published", "waits_its_turn"]),
        (facts(published(), member=member(since=60.0)), ["published", "subscribed_later"]),
        (facts(published(), member=member(group=None, gaps=3)), ["published", "gap"]),
        (facts(published(), member=member(group=None)), ["published", "not_delivered"]),
        (facts(published(), delivered("lost", None), member=member(group=None)), ["published", "cut_off"]),
        (facts(published()), ["published", "nobody_subscribed"]),
        (facts(), ["never_published"]),
    ],
)  # fmt: skip
def test_the_way_of_an_event(known: EventFacts, kinds: list[str]) -> None:
    found = why_event(known)
    assert [each.kind for each in found] == kinds
    for each in found:
        assert sentence(each)


def test_an_event_that_is_too_old_is_forgotten_and_not_unknown() -> None:
    full = Trail(node="b", remembers_since=80.0)
    assert why_event(EventFacts(id="e", trails=(full,), reports=()))[0].kind == "forgotten"


# ---- words -----------------------------------------------------------------------------------------------------------
def test_every_kind_of_finding_has_its_words_and_no_words_are_of_no_kind() -> None:
    sources = [Path(module.__file__ or "") for module in MODULES]
    text = "\n".join(each.read_text() for each in (*sources, sources[0].with_name("findings.py")))
    kinds = set(re.findall(r'found\(\s*"([a-z_]+)"', text)) | {"suspect", "down", "caller_full", "full"}
    assert kinds == set(WORDS)


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_words_name_what_they_are_about(kind: str) -> None:
    assert kind == "time" or [field for _, field, _, _ in Formatter().parse(WORDS[kind]) if field]


def test_what_is_not_known_reads_as_nothing_much() -> None:
    assert sentence(Finding(kind="never_seen", about={"service": "x", "near": "", "known": ""})).endswith(
        "there are: nobody"
    )
