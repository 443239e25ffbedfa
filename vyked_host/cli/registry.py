"""``vyked-host registry``: what it knows, what changes in it, and a host that is nothing but the place where others meet."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping

import click

from ..assembly import Host
from ..assembly import run as serve_host
from ..assembly.prepare import find
from ..errors import UsageError
from ..model.topology import NodeRecord
from .durations import clock
from .meshes import Reach, joined, mesh_options, others, ready
from .printing import output_option, print_json, print_line, print_table

log = logging.getLogger("vyked")


@click.group("registry", no_args_is_help=True)
def command() -> None:
    """Look at what the registry of a mesh knows, or hold it alone."""


# ---- list ------------------------------------------------------------------------------------------------------------
@command.command("list")
@mesh_options
@output_option
def listed(reach: Reach, output: str) -> None:
    """Show every node that the registry knows, without asking any of them: `ps` does that."""

    async def ask() -> list[NodeRecord]:
        async with joined(reach) as host:
            return others(host)

    found = asyncio.run(ask())
    if output == "json":
        print_json(found)
    else:
        print_table(("NODE", "SERVICES", "ADDRESSES"), [_row(each) for each in found])


def _row(record: NodeRecord) -> tuple[str, str, str]:
    addresses = ", ".join(each.uri for each in record.addresses)
    return (record.node_id, services(record) or "-", addresses)


def services(record: NodeRecord) -> str:
    """``identity 1.0.0, accounts 1.2.0 waiting``."""
    return ", ".join(
        f"{each.service} {each.version}{'' if each.status == 'active' else f' {each.status}'}"
        for each in record.instances
    )


# ---- watch -----------------------------------------------------------------------------------------------------------
@command.command("watch")
@mesh_options
@output_option
def watch(reach: Reach, output: str) -> None:
    """Print what changes, until Ctrl+C: + a node came, ~ it says something else of itself, - it is gone."""
    asyncio.run(_watch(reach, output))


async def _watch(reach: Reach, output: str) -> None:
    async with joined(reach) as host:
        known: dict[str, NodeRecord] = {}
        while True:
            now = {each.node_id: each for each in others(host)}
            for sign, record in changes(known, now):
                _told(sign, record, output)
            known = now
            await _changed(host)


async def _changed(host: Host) -> None:
    await host.node.directory.change()


def changes(before: Mapping[str, NodeRecord], now: Mapping[str, NodeRecord]) -> list[tuple[str, NodeRecord]]:
    """(sign, record) of each node that came, changed or went, by node id."""
    found = [("+", now[node]) for node in now.keys() - before.keys()]
    found += [("-", before[node]) for node in before.keys() - now.keys()]
    found += [("~", now[node]) for node in now.keys() & before.keys() if now[node] != before[node]]
    return sorted(found, key=lambda each: each[1].node_id)


def _told(sign: str, record: NodeRecord, output: str) -> None:
    if output == "json":
        print_line({"change": sign, "at": time.time(), "node": record})
    else:
        click.echo(f"{sign} {clock(time.time())}  {record.node_id}  {services(record) or 'no services'}")
    sys.stdout.flush()


# ---- serve -----------------------------------------------------------------------------------------------------------
@command.command("serve")
@click.option("--config", "config_file", metavar="FILE", help="Default: VYKED_CONFIG, else ./vyked.toml.")
@click.option("--mesh", help="Another mesh than that of the file.")
@click.option("--registry", metavar="HOST:PORT", help="Where to listen, if not as the file says.")
def serve(config_file: str | None, mesh: str | None, registry: str | None) -> None:
    """Hold registry and bus of the mesh without serving anything, so that hosts may come and go. SIGTERM ends it; one of
    the hosts takes over then.
    """
    reach = Reach(file=find(config_file, os.environ), mesh=mesh, registry=registry)
    prepared = ready(reach)
    settings = prepared.loaded.require()
    if "embedded" not in (settings.registry.use, settings.pubsub.use):
        text = f"the registry {settings.registry.use!r} and the bus {settings.pubsub.use!r} are not kept by hosts"
        raise UsageError(f"{text}: no host of this mesh has to hold them")
    sys.exit(serve_host(prepared, _announce, is_hub=True))


def _announce(host: Host, seconds: float) -> None:
    facts = {"mesh": host.mesh, "node": host.node.record.node_id}
    log.info("ready in %.0f ms", seconds * 1000, extra=facts)
