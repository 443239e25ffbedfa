"""Why an event was not handled, out of what every node remembers of it: published or not, and then group by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..model.report import DeadLetter, DeliveryReport, NodeReport, Publication, SubscriptionReport, Trail
from ..model.values import Value
from .findings import Fact, Finding, Silent, found, nearest, silence


class EventFacts(Value):
    """The event `id` as all nodes that answered know it; `topic` where it is known from elsewhere."""

    id: str
    trails: tuple[Trail, ...]
    reports: tuple[NodeReport, ...]
    silent: tuple[Silent, ...] = ()
    topic: str = ""


class Member(Value):
    """One subscription at one node."""

    node: str
    phase: str
    of: SubscriptionReport


def why_event(facts: EventFacts) -> tuple[Finding, ...]:
    """How it was published, then one finding for each group and each plain subscriber, troubled ones first."""
    published = [each for trail in facts.trails for each in trail.published]
    delivered = [each for trail in facts.trails for each in trail.delivered]
    if not published and not delivered:
        return (_unknown(facts), *silence(facts.silent))
    topic = (published or delivered)[0].topic
    first = [_published(each) for each in published] or [found("publisher_unknown", id=facts.id, topic=topic)]
    if any(each.kind == "bus_refused" for each in first) and not delivered:
        return (*first, *silence(facts.silent))
    at = min((each.at for each in published), default=0.0)
    outcomes = list(_outcomes(facts, topic, at, delivered))
    return (*first, *sorted(outcomes, key=lambda each: each.kind == "handled"), *silence(facts.silent))


def _unknown(facts: EventFacts) -> Finding:
    since = max((each.remembers_since for each in facts.trails), default=0.0)
    if since:
        return found("forgotten", id=facts.id, since=since, asked=len(facts.trails))
    return found("never_published", id=facts.id, asked=len(facts.trails))


def _published(each: Publication) -> Finding:
    about: dict[str, Fact] = {"node": each.node, "topic": each.topic, "at": each.at}
    if each.outcome == "waiting":
        return found("not_accepted", seconds=each.seconds, **about)
    if each.outcome:
        return found("bus_refused", text=each.outcome, **about)
    return found("published", **about)


# ---- who should have got it ------------------------------------------------------------------------------------------
def _outcomes(facts: EventFacts, topic: str, at: float, delivered: list[DeliveryReport]) -> Iterator[Finding]:
    members = [
        Member(node=report.node, phase=report.phase, of=each)
        for report in facts.reports
        for each in report.subscriptions
    ]
    mine = [each for each in members if each.of.topic == topic]
    dead = {each.group: each for trail in facts.trails for each in trail.dead}
    kept = {each.group: each.pending for trail in facts.trails for each in trail.groups if each.pending}
    groups = sorted({each.of.group for each in mine if each.of.group is not None} | _former(delivered) | kept.keys())
    for group in groups:
        yield _group(
            group, [each for each in mine if each.of.group == group], at,
            sorted((each for each in delivered if each.group == group), key=lambda each: each.at), dead.get(group),
            kept.get(group, -1),
        )  # fmt: skip
    for member in mine:
        if member.of.group is None:
            yield _plain(
                member,
                at,
                [each for each in delivered if (each.node, each.handler) == (member.node, member.of.handler)],
            )
    if not mine and not groups:
        yield from _nobody(topic, members)


def _former(delivered: list[DeliveryReport]) -> set[str]:
    return {each.group for each in delivered if each.group is not None}


def _nobody(topic: str, members: Sequence[Member]) -> Iterator[Finding]:
    path = topic.partition("@")[0]
    others = sorted({(each.of.topic, each.of.handler) for each in members if each.of.topic.partition("@")[0] == path})
    for other, handler in others:
        yield found("other_major", topic=topic, subscribed=other, handler=handler)
    if not others:
        known = {each.of.topic for each in members}
        yield found("nobody_subscribed", topic=topic, near=nearest(topic, known))


def _group(
    group: str, members: Sequence[Member], at: float, delivered: Sequence[DeliveryReport], dead: DeadLetter | None,
    kept: int,
) -> Finding:  # fmt: skip
    acked = next((each for each in delivered if each.verdict == "ack"), None)
    if acked is not None:
        return found("handled", who=group, node=acked.node, count=acked.count, seconds=acked.seconds, at=acked.at)
    last = delivered[-1] if delivered else None
    if last is not None and last.verdict == "reject":
        return found("dead_letter", group=group, deliveries=last.count, cause=last.cause, node=last.node)
    if dead is not None:
        return found("dead_letter", group=group, deliveries=dead.deliveries, cause=dead.cause, node="")
    if not members:
        return found("no_member", group=group, deliveries=len(delivered), pending=kept)
    if last is None:
        return _undelivered(group, members, at)
    about: dict[str, Fact] = {"who": group, "node": last.node, "count": last.count, "seconds": last.seconds}
    if last.verdict == "running":
        return found("being_handled", **about)
    if last.verdict == "lost":
        return found("cut_off", **about)
    return found("retried", cause=last.cause, **about)


def _undelivered(group: str, members: Sequence[Member], at: float) -> Finding:
    if all(each.of.since > at for each in members):
        return found("subscribed_later", who=group, seconds=min(each.of.since for each in members) - at)
    if all(each.phase != "serving" for each in members):
        return found("members_drain", group=group, nodes=", ".join(each.node for each in members))
    pending = max(each.of.pending for each in members)
    if pending > 0:
        return found(
            "waits_its_turn", group=group, pending=pending, in_flight=sum(each.of.in_flight for each in members)
        )
    return found("not_delivered", who=group, pending=pending)


def _plain(member: Member, at: float, delivered: Sequence[DeliveryReport]) -> Finding:
    who, node = member.of.handler, member.node
    if not delivered:
        if member.of.since > at:
            return found("subscribed_later", who=f"{who} at {node}", seconds=member.of.since - at)
        if member.of.gaps:
            return found("gap", who=who, node=node, count=member.of.gaps)
        return found("not_delivered", who=f"{who} at {node}", pending=member.of.pending)
    last = delivered[-1]
    about: dict[str, Fact] = {"who": who, "node": node, "count": last.count, "seconds": last.seconds}
    if last.verdict == "ack":
        return found("handled", at=last.at, **about)
    if last.verdict == "running":
        return found("being_handled", **about)
    return found("cut_off", **about) if last.verdict == "lost" else found("failed_once", cause=last.cause, **about)
