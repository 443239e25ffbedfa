"""``vyked-host ps``: who runs where, as the nodes say it themselves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import click

from ..assembly import Host
from ..catalog.findings import Silent
from ..errors import VykedError
from ..model.report import Behind, InFlight, InstanceReport, NodeReport
from ..model.version import parse
from .durations import age, mib, span
from .meshes import Reach, joined, mesh_options, others, reports
from .printing import print_json, print_table

HEADER = ("NODE", "SERVICE", "VERSION", "STATUS", "SINCE", "RUNNING", "OLDEST", "LAG")
BEHIND_S = 6.0
"""How long nodes are asked, one after the other, how far groups are behind: a node whose bus is away takes a while to say so."""
WIDE = ("PLACES", "BEHIND", "ADDRESSES", "LABELS", "GENERATION", "MEMORY")
EPILOG = """\b
Examples:
  vyked-host ps
  vyked-host ps -o wide
  vyked-host ps -o json | jq '.nodes[].instances[]'
  vyked-host ps -o json | jq '.groups[] | select(.oldest_s > 60)'
"""


@click.command("ps", epilog=EPILOG)
@click.option("-o", "--output", type=click.Choice(["text", "wide", "json"]), default="text", show_default=True, help="wide adds the places for calls, how far events wait, addresses, labels, generation and memory.")  # fmt: skip
@mesh_options
def command(reach: Reach, output: str) -> None:
    """Show each instance of a mesh: its status and since when, calls that run and the oldest of them, the loop's lag.

    Each node is asked itself; one that does not answer is shown with the reason. PLACES are of the node: calls that run, how many may at
    once now (and by its configuration, where that is more), how many were refused for want of one. BEHIND is about the groups of the service, over all
    its instances: events that wait + those with a handler, how long ago the oldest was published, dead letters.
    """
    found, silent, behind = asyncio.run(_asked(reach, with_groups=output != "text"))
    if output == "json":
        groups = behind.groups if behind is not None else None
        print_json({"nodes": found, "silent": silent, "groups": groups})
        return
    is_wide = output == "wide"
    print_table(HEADER + (WIDE if is_wide else ()), rows(found, silent, behind if is_wide else None, is_wide=is_wide))


async def _asked(reach: Reach, *, with_groups: bool) -> tuple[list[NodeReport], list[Silent], Behind | None]:
    async with joined(reach) as host:
        found, silent = await reports(host)
        return found, silent, await _behind(host) if with_groups else None


async def _behind(host: Host) -> Behind | None:
    """What the first node says that knows: it is one bus. None: none of them does, or none in time where it is away for all."""
    with suppress(TimeoutError):
        async with asyncio.timeout(BEHIND_S):
            for record in others(host):
                with suppress(VykedError):  # one that is away, or of a release that can't say
                    found = await host.ask(record).lag()
                    if found.is_known:
                        return found
    return None


def rows(
    found: list[NodeReport], silent: list[Silent], behind: Behind | None = None, *, is_wide: bool = False
) -> list[tuple[str, ...]]:  # fmt: skip
    """A line for each instance, those of guests too, one for a node without any, one for a node that is silent."""
    lines = [
        (
            report.node,
            *_instance(report, each),
            span(report.lag_s),
            *((places(report.places), backlog(each, behind), *_wide(report)) if is_wide else ()),
        )
        for report in found
        for each in report.instances or (None,)
    ]
    blank = ("-",) * (len(HEADER) - 4 + len(WIDE) * is_wide)
    for each in silent:
        lines += [(each.node, at.service, at.version, f"{at.status}, {each.reason}", *blank) for at in each.instances]
        if not each.instances:
            lines.append((each.node, "-", "-", f"no answer: {each.reason}", *blank))
    return lines


def _instance(report: NodeReport, each: InstanceReport | None) -> tuple[str, ...]:
    if each is None:
        return ("-", "-", report.phase, age(report.uptime_s), "0", "-")
    oldest = f"{each.oldest} {span(each.oldest_s)}" if each.oldest else "-"
    return (each.service, each.version, status(each), age(report.now - each.since), str(each.in_flight), oldest)


def backlog(each: InstanceReport | None, behind: Behind | None) -> str:
    """How far the groups of a service are behind: waiting + in flight, the age of the oldest, dead letters."""
    if each is None or behind is None:
        return "-"
    consumer = f"{each.service}@{parse(each.version).major}"
    of_service = [group for group in behind.groups if group.group.partition("/")[0] == consumer]
    if not of_service:
        return "-"
    waiting, in_flight, dead = (
        sum(getattr(group, what) for group in of_service) for what in ("waiting", "in_flight", "dead")
    )
    oldest = max(group.oldest_s for group in of_service)
    told = [f"{waiting}+{in_flight}"] + [age(oldest)] * (oldest > 0) + [f"{dead} dead"] * (dead > 0)
    return ", ".join(told)


def places(found: InFlight | None) -> str:
    """Calls that run of those that may: ``3/12 (1024), 40 refused``."""
    if found is None:
        return "-"
    most = f" ({found.most or 'any'})" if found.limit != found.most else ""
    refused = f", {found.refused} refused" if found.refused else ""
    return f"{found.running}/{found.limit or 'any'}{most}{refused}"


def status(each: InstanceReport) -> str:
    """With what it lacks."""
    return f"{each.status}, lacks {', '.join(each.missing)}" if each.missing else each.status


def _wide(report: NodeReport) -> tuple[Any, ...]:
    labels = ",".join(f"{name}={value}" for name, value in report.labels.items()) or "-"
    addresses = ",".join(each.uri for each in report.addresses if not each.uri.startswith("local")) or "-"
    return (addresses, labels, report.generation or "-", mib(report.memory))
