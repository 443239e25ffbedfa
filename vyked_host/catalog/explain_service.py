"""Why a service is not active, out of what the nodes say: each judges its own services, so each is asked why."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.report import InstanceReport, Need, NodeReport, Seen, View
from ..model.values import Value
from ..model.version import compatible
from .findings import Finding, Silent, found, is_named, nearest, silence


class Answer(Value):
    """What one node said."""

    report: NodeReport
    view: View


class ServiceFacts(Value):
    """`service`, at the node or host `at` ("": at each), as the nodes of a mesh told it at `now` (seconds since 1970)."""

    service: str
    answers: tuple[Answer, ...]
    silent: tuple[Silent, ...] = ()
    at: str = ""
    now: float = 0.0


def why_service(facts: ServiceFacts) -> tuple[Finding, ...]:
    """A finding for each instance, the troubled ones first; or why there is none."""
    asked = [each for each in facts.answers if not facts.at or is_named(each.report, facts.at)]
    if facts.at and not asked:
        return _no_such_node(facts)
    judged = [
        _judged(facts, answer, instance)
        for answer in asked
        for instance in answer.report.instances
        if instance.service == facts.service
    ]
    if not judged:
        return (*_absent(facts, asked), *silence(facts.silent))
    return (*sorted(judged, key=lambda each: each.kind == "active"), *silence(facts.silent))


def _no_such_node(facts: ServiceFacts) -> tuple[Finding, ...]:
    known = {each.report.node for each in facts.answers}
    mute = [each for each in facts.silent if each.node == facts.at]
    if mute:
        return silence(mute)
    return (found("no_such_node", node=facts.at, near=nearest(facts.at, known), known=", ".join(sorted(known))),)


def _absent(facts: ServiceFacts, asked: list[Answer]) -> Iterator[Finding]:
    gone = {each.node: each for answer in asked for each in answer.view.gone if _had(each.services, facts.service)}
    for each in sorted(gone.values(), key=lambda one: one.at):
        yield found("gone", node=each.node, service=facts.service, ago_s=facts.now - each.at)
    if not gone and facts.at:
        yield found("not_there", service=facts.service, node=facts.at)
    elif not gone:
        yield _never_seen(facts.service, {name for answer in asked for name in answer.view.services})


def _had(services: tuple[str, ...], service: str) -> bool:
    return any(each.partition("@")[0] == service for each in services)


def _never_seen(service: str, known: set[str]) -> Finding:
    return found("never_seen", service=service, near=nearest(service, known), known=", ".join(sorted(known)))


# ---- one instance ------------------------------------------------------------------------------------------------------
def _judged(facts: ServiceFacts, answer: Answer, instance: InstanceReport) -> Finding:
    about = {"node": answer.report.node, "service": instance.service, "version": instance.version}
    for_s = facts.now - instance.since
    if answer.report.phase in ("draining", "stopping") or instance.status == "draining":
        return found("draining", **about)
    lacks = tuple(_lacks(facts, answer, instance, need, (instance.service,)) for need in _missing(instance))
    if instance.status == "waiting":
        return found("waiting", *lacks, for_s=for_s, **about)
    return found("degraded", *lacks, **about) if lacks else found("active", for_s=for_s, **about)


def _missing(instance: InstanceReport) -> list[Need]:
    return [each for each in instance.needs if each.required and each.service in instance.missing]


def _lacks(
    facts: ServiceFacts, answer: Answer, instance: InstanceReport, need: Need, path: tuple[str, ...]
) -> Finding:  # fmt: skip
    """Why no instance counts for `need`, as `answer`'s node sees it; `path`: the services that wait for it."""
    reasons = [
        _reason(facts, each, need, path) for each in answer.view.instances if each.service == need.service
    ] + [
        found("gone", node=each.node, service=need.service, ago_s=facts.now - each.at)
        for each in answer.view.gone
        if _had(each.services, need.service)
    ]  # fmt: skip
    if not reasons:
        reasons = [_never_seen(need.service, set(answer.view.services) - {instance.service})]
    return found(
        "lacks", *reasons, service=need.service, wanted=need.version or "any", node=answer.report.node
    )  # fmt: skip


def _reason(facts: ServiceFacts, seen: Seen, need: Need, path: tuple[str, ...]) -> Finding:
    """Why one instance does not count."""
    about = {"node": seen.node, "service": seen.service, "version": seen.version}
    if not compatible(seen.version, need.version):
        return found("wrong_version", wanted=need.version or "any", **about)
    if seen.doubt is not None:
        return found(seen.doubt, **about)
    mute = next((each for each in facts.silent if each.node == seen.node), None)
    if mute is not None:
        return found("silent", node=mute.node, reason=mute.reason)
    if seen.status == "draining":
        return found("draining", **about)
    if seen.status == "waiting":
        return _waits(facts, seen, path)
    return found("usable", **about)


def _waits(facts: ServiceFacts, seen: Seen, path: tuple[str, ...]) -> Finding:
    """An instance that waits itself: for what, down to the first cause or round a circle."""
    if seen.service in path:
        circle = (*path[path.index(seen.service) :], seen.service)
        return found("cycle", path=" -> ".join(circle))
    about = {"node": seen.node, "service": seen.service, "version": seen.version}
    for answer in facts.answers:
        if answer.report.node != seen.node:
            continue
        for instance in answer.report.instances:
            if (instance.service, instance.version) == (seen.service, seen.version):
                further = (*path, seen.service)
                lacks = (_lacks(facts, answer, instance, need, further) for need in _missing(instance))
                return found("waiting", *lacks, for_s=facts.now - instance.since, **about)
    return found("waiting", for_s=0.0, **about)
