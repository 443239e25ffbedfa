"""``vyked-host ps``: who runs where, as the nodes say it themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from ..catalog.findings import Silent
from ..model.report import InstanceReport, NodeReport
from .durations import age, mib, span
from .meshes import Reach, joined, mesh_options, reports
from .printing import print_json, print_table

HEADER = ("NODE", "SERVICE", "VERSION", "STATUS", "SINCE", "RUNNING", "OLDEST", "LAG")
WIDE = ("ADDRESSES", "LABELS", "GENERATION", "MEMORY")
EPILOG = """\b
Examples:
  vyked-host ps
  vyked-host ps -o wide
  vyked-host ps -o json | jq '.nodes[].instances[]'
"""


@click.command("ps", epilog=EPILOG)
@click.option("-o", "--output", type=click.Choice(["text", "wide", "json"]), default="text", show_default=True, help="wide adds addresses, labels, generation and memory.")  # fmt: skip
@mesh_options
def command(reach: Reach, output: str) -> None:
    """Show each instance of a mesh: its status and since when, calls that run and the oldest of them, the loop's lag.

    Each node is asked itself; one that does not answer is shown with the reason.
    """
    found, silent = asyncio.run(_asked(reach))
    if output == "json":
        print_json({"nodes": found, "silent": silent})
        return
    print_table(HEADER + (WIDE if output == "wide" else ()), rows(found, silent, is_wide=output == "wide"))


async def _asked(reach: Reach) -> tuple[list[NodeReport], list[Silent]]:
    async with joined(reach) as host:
        return await reports(host)


def rows(found: list[NodeReport], silent: list[Silent], *, is_wide: bool = False) -> list[tuple[str, ...]]:
    """A line for each instance, one for a node without any, one for a node that is silent."""
    lines = [
        (report.node, *_instance(report, each), span(report.lag_s), *(_wide(report) if is_wide else ()))
        for report in found
        for each in report.instances or (None,)
    ]
    blank = ("-",) * (len(HEADER) - 4 + len(WIDE) * is_wide)
    return lines + [(each.node, "-", "-", f"no answer: {each.reason}", *blank) for each in silent]


def _instance(report: NodeReport, each: InstanceReport | None) -> tuple[str, ...]:
    if each is None:
        return ("-", "-", report.phase, age(report.uptime_s), "0", "-")
    oldest = f"{each.oldest} {span(each.oldest_s)}" if each.oldest else "-"
    return (each.service, each.version, status(each), age(report.now - each.since), str(each.in_flight), oldest)


def status(each: InstanceReport) -> str:
    """With what it lacks."""
    return f"{each.status}, lacks {', '.join(each.missing)}" if each.missing else each.status


def _wide(report: NodeReport) -> tuple[Any, ...]:
    labels = ",".join(f"{name}={value}" for name, value in report.labels.items()) or "-"
    addresses = ",".join(each.uri for each in report.addresses if not each.uri.startswith("local")) or "-"
    return (addresses, labels, report.generation or "-", mib(report.memory))
