"""What the nodes of a mesh know of a service, a call or an event: asked for, and put together for `catalog.explain_*`."""

from __future__ import annotations

import time

from ..assembly import Host
from ..catalog.explain_call import CallFacts
from ..catalog.explain_event import EventFacts
from ..catalog.explain_service import Answer, ServiceFacts
from ..errors import VykedError
from ..model.report import FailedCall, Moment
from .meshes import ask_all, others, reports


async def service_facts(host: Host, name: str, at: str = "") -> ServiceFacts:
    """What every node says about `name` and all that it may wait for."""
    found, silent = await reports(host)
    wanted = {name, *(need.service for each in found for one in each.instances for need in one.needs)}
    views, silent_too = await ask_all(host, lambda control: control.view(sorted(wanted)))
    by_node = {each.node: each for each in views}
    answers = tuple(Answer(report=each, view=by_node[each.node]) for each in found if each.node in by_node)
    known = {each.node for each in silent}
    mute = (*silent, *(each for each in silent_too if each.node not in known))
    return ServiceFacts(service=name, answers=answers, silent=mute, at=at, now=time.time())


async def call_facts(host: Host, call_id: str) -> CallFacts:
    """Both sides of the last call that goes by `call_id`, and how the node that ran it was then."""
    answers, silent = await ask_all(host, lambda control: control.calls(call_id))
    found = sorted((each for one in answers for each in one.calls), key=lambda each: each.at)
    caller = next((each for each in reversed(found) if each.side == "caller"), None)
    callee = next((each for each in reversed(found) if each.side == "callee"), None)
    if caller is not None and callee is not None and not _same(caller, callee):
        caller, callee = (caller, None) if caller.at > callee.at else (None, callee)
    record = callee or caller
    moment, gone = None, None
    if record is not None and record.instance:
        moment = await _moment(host, record, max(_lasted(each) for each in (caller, callee) if each is not None))
        views, _ = await ask_all(host, lambda control: control.view([record.endpoint.partition(".")[0]]))
        gone = next((each for view in views for each in view.gone if each.node == record.instance), None)
    used = sum(each is not None for each in (caller, callee))
    return CallFacts(
        id=call_id, caller=caller, callee=callee, moment=moment, gone=gone, silent=tuple(silent), asked=len(answers),
        more=len(found) - used,
    )  # fmt: skip


def _same(caller: FailedCall, callee: FailedCall) -> bool:
    here, there = (caller.instance, caller.caller_node), (callee.instance, callee.caller_node)
    return bool(caller.log_id and caller.log_id == callee.log_id) or (here == there and caller.number == callee.number)


def _lasted(record: FailedCall) -> float:
    return record.waiting_s + record.queued_s + record.running_s


async def _moment(host: Host, record: FailedCall, lasted: float) -> Moment | None:
    """How the node that ran it was while it ran; None where that node can't be asked."""
    node = next((each for each in others(host) if each.node_id == record.instance), None)
    if node is None:
        return None
    try:
        return await host.ask(node).moment(record.at, lasted)
    except VykedError:
        return None


async def event_facts(host: Host, event_id: str) -> EventFacts:
    """What every node remembers of `event_id`, and who subscribes to what."""
    trails, silent = await ask_all(host, lambda control: control.deliveries(event_id, ""))
    topics = {each.topic for trail in trails for each in trail.published}
    topics |= {each.topic for trail in trails for each in trail.delivered}
    if topics:
        topic = min(topics)
        trails, silent = await ask_all(host, lambda control: control.deliveries(event_id, topic))
    found, _ = await reports(host)
    return EventFacts(id=event_id, trails=tuple(trails), reports=tuple(found), silent=tuple(silent))
