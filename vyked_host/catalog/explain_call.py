"""Why a call failed, out of what its two sides and the node between them remember: the cause first, then where the time
went, then what else happened there at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..model.report import Departure, FailedCall, Moment
from ..model.values import Value
from .findings import Finding, Silent, found, silence

BLOCKED_SHARE = 0.25
"""A loop that lagged for this share of a call's time is told as the cause."""
SWEEP_S = 0.05
"""Both ends look so often whether a call's time is over (`runtime.clock`): who gave up with no more than that left, gave up for that."""


class CallFacts(Value):
    """What was found under `id`: the records of the caller and of the callee, `moment` of the callee's node, `gone` where
    that node has left since; `asked` nodes answered, and `more` other calls go by the same id."""

    id: str
    caller: FailedCall | None = None
    callee: FailedCall | None = None
    moment: Moment | None = None
    gone: Departure | None = None
    silent: tuple[Silent, ...] = ()
    asked: int = 0
    more: int = 0


def why_call(facts: CallFacts) -> tuple[Finding, ...]:
    """The cause, then what goes with it."""
    record = facts.callee or facts.caller
    if record is None:
        return (found("unknown_call", id=facts.id, asked=facts.asked), *silence(facts.silent))
    cause = CAUSES.get(_code(facts, record), _told)(facts, record)
    return (cause, *_context(facts, record))


def _code(facts: CallFacts, record: FailedCall) -> str:
    """A callee is told to cancel because its caller gave up, and that one knows why; where it can't be asked any more, the time that was
    left tells."""
    if record.code != "CANCELLED":
        return record.code
    if facts.caller is not None:
        return facts.caller.code
    left_s = record.budget_s - record.queued_s - record.running_s
    return "DEADLINE_EXCEEDED" if record.side == "callee" and left_s <= SWEEP_S else record.code


def _context(facts: CallFacts, record: FailedCall) -> Iterator[Finding]:
    yield _identity(facts, record)
    yield _time(facts)
    moment = facts.moment
    if moment is not None and moment.samples:
        yield found("moment", node=moment.node, lag_s=moment.lag_s, in_flight=moment.in_flight)
    if moment is not None and (others := _others(facts, moment)):
        yield found("others", node=moment.node, failed=", ".join(f"{count} x {what}" for what, count in others.items()))
    if facts.more:
        yield found("more_calls", count=facts.more, id=facts.id)
    yield from silence(facts.silent)


def _others(facts: CallFacts, moment: Moment) -> dict[str, int]:
    """What else failed there, without this very call."""
    failed = dict(moment.failed)
    if facts.callee is not None:
        own = f"{facts.callee.endpoint} {facts.callee.code}"
        failed[own] = failed.get(own, 0) - 1
    return {what: count for what, count in failed.items() if count > 0}


def _identity(facts: CallFacts, record: FailedCall) -> Finding:
    return found(
        "call", endpoint=record.endpoint, caller=record.caller or "a program", caller_node=record.caller_node,
        instance=(facts.caller or record).instance or record.instance, attempt=record.attempt,
        code=(facts.caller or record).code, executed=(facts.caller or record).executed, at=record.at,
    )  # fmt: skip


def _time(facts: CallFacts) -> Finding:
    here, there = facts.caller, facts.callee
    spent: dict[str, float] = {}
    if here is not None:
        spent |= {"dialling_s": here.dialling_s, "waiting_s": here.waiting_s}
    if there is not None:
        spent |= {"queued_s": there.queued_s, "running_s": there.running_s}
    return found("time", budget_s=max(each.budget_s for each in (here, there) if each is not None), **spent)


# ---- causes by code ----------------------------------------------------------------------------------------------------
def _deadline(facts: CallFacts, record: FailedCall) -> Finding:
    here, there = facts.caller, facts.callee
    budget_s = max(each.budget_s for each in (here, there) if each is not None)
    node = (here or record).instance or record.instance
    if here is not None and here.dialling_s > here.waiting_s:
        return found("slow_dial", node=node, seconds=here.dialling_s)
    if there is not None and there.queued_s > there.running_s:
        return found("queued", node=node, seconds=there.queued_s, why=there.cause or "its turn had not come")
    if facts.moment is not None and facts.moment.lag_s > BLOCKED_SHARE * budget_s:
        return found("blocked", node=node, seconds=facts.moment.lag_s)
    if there is not None and not there.running_s:
        return found("no_time", endpoint=record.endpoint, node=node)
    if there is not None:
        return found("slow_handler", endpoint=record.endpoint, node=node, seconds=there.running_s, budget_s=budget_s)
    if any(each.node == node for each in facts.silent):
        return found("node_silent", node=node)
    if here is not None and here.executed == "not_sent":
        return found("no_time", endpoint=record.endpoint, node=node)
    return found("late_answer", endpoint=record.endpoint, node=node, budget_s=budget_s)


def _unavailable(facts: CallFacts, record: FailedCall) -> Finding:
    if record.side == "callee":
        return found("refused", node=record.node, text=record.text)
    service = record.endpoint.partition(".")[0]
    if record.executed == "not_sent":
        if not record.instance:
            return found("nobody", service=service, text=record.text)
        return found("unreachable", node=record.instance, text=record.text)
    if facts.gone is not None:
        return found("node_lost", node=facts.gone.node, at=facts.gone.at, text=record.text)
    if record.executed == "not_executed":
        return found("refused", node=record.instance, text=record.text)
    return found("connection_lost", node=record.instance, text=record.text)


def _full(_facts: CallFacts, record: FailedCall) -> Finding:
    if record.side == "callee":
        return found("full", node=record.node, in_flight=record.in_flight, text=record.text)
    kind = "caller_full" if record.executed == "not_sent" else "full"
    return found(kind, node=record.instance or record.node, in_flight=record.in_flight, text=record.text)


def _raised(_facts: CallFacts, record: FailedCall) -> Finding:
    about = {"endpoint": record.endpoint, "node": record.instance, "log_id": record.log_id}
    return found("raised", cause=record.cause, **about) if record.side == "callee" else found("raised_there", **about)


def _declared(_facts: CallFacts, record: FailedCall) -> Finding:
    return found("declared", endpoint=record.endpoint, node=record.instance, type=record.type)


def _misfit(_facts: CallFacts, record: FailedCall) -> Finding:
    return found("misfit", endpoint=record.endpoint, caller=record.caller, what=record.cause or "an argument")


def _cancelled(_facts: CallFacts, record: FailedCall) -> Finding:
    return found("cancelled", endpoint=record.endpoint, text=record.text)


def _told(_facts: CallFacts, record: FailedCall) -> Finding:
    return found("told", code=record.code, node=record.instance, text=record.text)


CAUSES: dict[str, Callable[[CallFacts, FailedCall], Finding]] = {
    "DEADLINE_EXCEEDED": _deadline,
    "UNAVAILABLE": _unavailable,
    "RESOURCE_EXHAUSTED": _full,
    "INTERNAL": _raised,
    "APPLICATION": _declared,
    "INVALID_ARGUMENT": _misfit,
    "CANCELLED": _cancelled,
}
