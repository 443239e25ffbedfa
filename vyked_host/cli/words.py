"""Findings as sentences: one for each kind, filled with what it is about; what a finding rests on stands under it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..catalog.findings import Fact, Finding
from .durations import clock, span

WORDS: dict[str, str] = {
    # of services
    "active": "{service} {version} at {node} is active, for {for_s}",
    "degraded": "{service} {version} at {node} is active, but lost what it needs",
    "waiting": "{service} {version} at {node} waits, for {for_s}",
    "draining": "{service} {version} at {node} is draining: that host is being stopped",
    "lacks": "{node} finds no usable {service} (wanted: {wanted})",
    "wrong_version": "{service} at {node} is {version}, and {wanted} is wanted: same major and not lower",
    "suspect": "{service} {version} at {node} is suspect: its node has been silent for a while",
    "down": "{service} {version} at {node} is down: its node lost the connection to the registry",
    "gone": "{service} was at {node}, which left {ago_s} ago",
    "cycle": "they wait for each other in a circle: {path}; make one of these dependencies required=False",
    "never_seen": "no service named {service} was ever seen{near}; there are: {known}",
    "usable": "{service} {version} at {node} looks usable: this has just changed, or is about to",
    "no_such_node": "there is no node {node}{near}; there are: {known}",
    "not_there": "{node} does not serve {service}",
    "silent": "node {node} does not answer: {reason}",
    # of calls
    "unknown_call": "of the nodes that answer ({asked}) none remembers a failed call {id}: it succeeded, it is older than the last 1,000 failures, or its nodes are gone",
    "slow_dial": "the time went into dialling {node}: {seconds}",
    "queued": "it was still queued at {node} after {seconds}: {why}",
    "blocked": "the event loop of {node} was blocked for {seconds}: nothing ran there meanwhile",
    "no_time": "no time was left for {endpoint} when its turn came: its caller's deadline was nearly over before",
    "slow_handler": "{endpoint} ran for {seconds} at {node} and was not done: it had {budget_s}",
    "node_silent": "{node} had the call and does not answer now either",
    "late_answer": "{node} did not answer {endpoint} within {budget_s}, and remembers no failure of it: the answer came too late, or was lost",
    "refused": "{node} refused it: {text}",
    "nobody": "there was nobody to call: {text}; see: vyked-host why service {service}",
    "unreachable": "{node} could not be reached: {text}",
    "node_lost": "{node} was lost while it had the call; it left at {at}",
    "connection_lost": "the connection to {node} was lost while it had the call: {text}",
    "full": "{node} had enough to do, with {in_flight} calls running: {text}",
    "caller_full": "the caller had too many calls open: {text}",
    "raised": "{endpoint} raised {cause} at {node}; its log has the traceback under {log_id}",
    "raised_there": "{endpoint} raised something it does not declare at {node}; its log has the traceback under {log_id}",
    "declared": "{endpoint} answered with an error of its own, {type}: no failure of the host",
    "misfit": "the caller's arguments do not fit {endpoint}: {what}",
    "cancelled": "{endpoint} was cancelled: {text}",
    "told": "{code}: {text}",
    "call": "{endpoint}, called by {caller} at {caller_node}, ran at {instance}; attempt {attempt}, {code}, executed: {executed}, at {at}",
    "time": "time: {spent}",
    "moment": "at that time at {node}: calls running, up to {in_flight}; loop lag, up to {lag_s}",
    "others": "at that time {node} also failed: {failed}",
    "more_calls": "{count} more failed calls go by {id}: this is the last one",
    # of events
    "published": "{topic} was published at {node} at {at}, and the bus took it",
    "publisher_unknown": "no node that answers remembers publishing {id}, but it was delivered ({topic})",
    "not_accepted": "{topic} was published at {node} at {at}, and the bus has not accepted it for {seconds}",
    "bus_refused": "{topic} was published at {node} at {at}, and the bus did not accept it: {text}",
    "never_published": "of the nodes that answer ({asked}) none published or received an event {id}",
    "forgotten": "of the nodes that answer ({asked}) none remembers {id}; what is older than {since} is forgotten",
    "nobody_subscribed": "nobody subscribes to {topic}{near}",
    "other_major": "{handler} subscribes to {subscribed}, and this is {topic}: another major version is another topic",
    "handled": "{who}: handled at {node} at {at}, delivery {count}, in {seconds}",
    "dead_letter": "{group}: a dead letter after delivery {deliveries}: {cause}",
    "no_member": "{group}: no member of the group is alive, after {deliveries} deliveries; waiting for it: {pending}",
    "being_handled": "{who}: being handled at {node} for {seconds}, delivery {count}",
    "cut_off": "{who}: its handler at {node} was cut off after {seconds}, delivery {count}",
    "retried": "{who}: delivery {count} failed at {node} and comes again: {cause}",
    "failed_once": "{who}: failed at {node}, and @subscribe delivers once: {cause}",
    "subscribed_later": "{who}: subscribed {seconds} after it was published",
    "members_drain": "{group}: every member is draining ({nodes})",
    "waits_its_turn": "{group}: waits its turn behind others ({pending} wait, {in_flight} are being handled)",
    "not_delivered": "{who}: not delivered, and nothing of it waits there ({pending})",
    "gap": "{who}: {node} missed {count} events in all, told as gaps",
}  # fmt: skip
"""Kind of finding -> its sentence."""
_SPENT = {"dialling_s": "dialling", "waiting_s": "waiting for the answer", "queued_s": "queued", "running_s": "running"}


def sentence(finding: Finding) -> str:
    """`finding` in words."""
    if finding.kind == "time":
        return f"time: {_time(finding)}"
    return WORDS[finding.kind].format_map({name: _shown(name, value) for name, value in finding.about.items()})


def _time(finding: Finding) -> str:
    about = finding.about
    spent = [f"{word} {span(float(about[name]))}" for name, word in _SPENT.items() if name in about]
    return f"{', '.join(spent)}; it had {span(float(about['budget_s']))}"


def _shown(name: str, value: Fact) -> str:
    if name == "near":
        return f" (did you mean {value!r}?)" if value else ""
    if name in ("at", "since"):
        return clock(float(value))
    if name == "seconds" or name.endswith("_s"):
        return span(float(value))
    if name == "pending" and value == -1:
        return "its bus can't say"
    return str(value) if value != "" else "nobody" if name == "known" else "-"


def lines(findings: Iterable[Finding], depth: int = 0) -> Iterator[str]:
    """The findings as indented lines."""
    for each in findings:
        yield f"{'  ' * depth}{sentence(each)}"
        yield from lines(each.because, depth + 1)
