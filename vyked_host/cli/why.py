"""``vyked-host why``: asks all nodes what they know of a service, a call or an event, and says what follows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import click

from ..catalog.explain_call import why_call
from ..catalog.explain_event import why_event
from ..catalog.explain_service import why_service
from ..catalog.findings import Finding
from ..errors import EXIT_FAILED
from ..model import names
from .facts import call_facts, event_facts, service_facts
from .meshes import Reach, joined, mesh_options
from .printing import output_option, print_json
from .words import lines, sentence

UNKNOWN = frozenset({"unknown_call", "never_published", "forgotten", "never_seen", "no_such_node", "not_there"})
"""Findings that find nothing: exit code 1."""


@click.group("why", no_args_is_help=True)
def command() -> None:
    """Say why a service is not active, why a call failed, or why an event was not handled.

    Every node of the mesh is asked; what could not be asked is said too.
    """


def _tell(findings: Sequence[Finding], output: str) -> None:
    if output == "json":
        print_json([_data(each) for each in findings])
    else:
        click.echo("\n".join(lines(findings)))
    if findings[0].kind in UNKNOWN:
        sys.exit(EXIT_FAILED)


def _data(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind, "text": sentence(finding), "about": finding.about,
        "because": [_data(each) for each in finding.because],
    }  # fmt: skip


# ---- service ---------------------------------------------------------------------------------------------------------
@command.command("service")
@click.argument("name")
@click.option("--at", "node", default="", metavar="NODE", help="At this node only: its id, or its host's name.")
@mesh_options
@output_option
def service(reach: Reach, name: str, node: str, output: str) -> None:
    """Why NAME is not active: what each of its instances lacks, which instances of that are known, and why none counts."""

    async def ask() -> tuple[Finding, ...]:
        async with joined(reach) as host:
            return why_service(await service_facts(host, names.name(name, "service name"), node))

    _tell(asyncio.run(ask()), output)


# ---- call ------------------------------------------------------------------------------------------------------------
@command.command("call")
@click.argument("call_id", metavar="ID")
@mesh_options
@output_option
def call(reach: Reach, call_id: str, output: str) -> None:
    """Why the call ID failed: where its time went, and what else went on there. ID is in its error (`call_id`), in `failures`,
    or the one that the log has beside a traceback."""

    async def ask() -> tuple[Finding, ...]:
        async with joined(reach) as host:
            return why_call(await call_facts(host, call_id))

    _tell(asyncio.run(ask()), output)


# ---- event -----------------------------------------------------------------------------------------------------------
@command.command("event")
@click.argument("event_id", metavar="ID")
@mesh_options
@output_option
def event(reach: Reach, event_id: str, output: str) -> None:
    """Why the event ID was not handled: when and where it was published, and for each group what became of it."""

    async def ask() -> tuple[Finding, ...]:
        async with joined(reach) as host:
            return why_event(await event_facts(host, event_id))

    _tell(asyncio.run(ask()), output)
