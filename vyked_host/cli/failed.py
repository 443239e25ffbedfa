"""``vyked-host failures``: the last calls and deliveries that failed, of all nodes or of one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import click

from ..catalog.findings import Silent
from ..model.report import FailedCall, FailedDelivery, Failures
from .durations import clock, seconds_of, span
from .failures import say
from .meshes import Reach, ask_all, chosen, joined, mesh_options
from .printing import output_option, print_json, print_table

HEADER = ("AT", "ID", "WHAT", "SEEN BY", "FROM", "TO", "OUTCOME", "EXECUTED", "TOOK", "CAUSE")
EPILOG = """\b
Examples:
  vyked-host failures --since 5m
  vyked-host failures --node shop-4f2a81c0
  vyked-host why call ID          all there is to know of one of them
"""


@click.command("failures", epilog=EPILOG)
@click.option("--since", default="15m", show_default=True, metavar="SPAN", help="Such as 30s, 5m, 2h.")
@click.option("--node", metavar="NODE", help="Of this node only: its id, or its host's name.")
@mesh_options
@output_option
def command(reach: Reach, since: str, node: str | None, output: str) -> None:
    """Show calls and deliveries that failed, oldest first. Each node remembers its last 1,000 of either kind, a call both
    where it was made and where it ran; payloads are not kept.
    """
    found, silent = asyncio.run(_asked(reach, time.time() - seconds_of(since), node))
    for each in silent:
        say(f"node {each.node} does not answer: {each.reason}")
    calls = sorted((each for one in found for each in one.calls), key=lambda each: each.at)
    deliveries = sorted((each for one in found for each in one.deliveries), key=lambda each: each.at)
    if output == "json":
        print_json({"calls": calls, "deliveries": deliveries, "silent": silent})
    elif calls or deliveries:
        print_table(HEADER, rows(calls, deliveries))
    else:
        say(f"nothing failed in the last {since}")


async def _asked(reach: Reach, since: float, node: str | None) -> tuple[list[Failures], list[Silent]]:
    async with joined(reach) as host:
        if node is None:
            return await ask_all(host, lambda control: control.failures(since))
        record = await chosen(host, node)
        return [await host.ask(record).failures(since)], []


def rows(calls: Iterable[FailedCall], deliveries: Iterable[FailedDelivery]) -> list[tuple[str, ...]]:
    """A line for each, in the order of time."""
    lines = [(each.at, _call(each)) for each in calls] + [(each.at, _delivery(each)) for each in deliveries]
    return [line for _, line in sorted(lines)]


def _call(each: FailedCall) -> tuple[str, ...]:
    took = each.dialling_s + each.waiting_s + each.queued_s + each.running_s
    code = f"{each.code} {each.type}" if each.type else each.code
    who = f"{each.caller} at {each.caller_node}" if each.caller else each.caller_node
    return (
        clock(each.at), each.id, each.endpoint, each.side, who, each.instance or "-", code, each.executed, span(took),
        each.cause or each.text or "-",
    )  # fmt: skip


def _delivery(each: FailedDelivery) -> tuple[str, ...]:
    outcome = f"{each.verdict} after {each.count}"
    who = each.group or "every instance"
    return (
        clock(each.at), each.event_id, each.topic, "consumer", who, f"{each.handler} at {each.node}", outcome, "executed",
        span(each.seconds), each.cause or "-",
    )  # fmt: skip
