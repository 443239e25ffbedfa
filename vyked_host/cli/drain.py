"""``vyked-host drain``: end one host of the mesh as SIGTERM would, and watch it finish."""

from __future__ import annotations

import asyncio
import time

import click

from ..assembly import Host
from ..assembly.control import Progress
from ..errors import CallError, VykedError
from ..model.topology import NodeRecord
from .durations import span
from .failures import say
from .meshes import Reach, chosen, joined, mesh_options

GONE_S = 5.0
"""How long the node is waited for, once its connection has ended."""


@click.command("drain")
@click.argument("node")
@mesh_options
def command(reach: Reach, node: str) -> None:
    """End the host NODE (its id, or its host's name) gracefully: it leaves the registry, takes nothing new, finishes what
    runs, stops. Waits for it and shows what still runs; Ctrl+C stops waiting, not the drain.
    """
    asyncio.run(_drain(reach, node))


async def _drain(reach: Reach, name: str) -> None:
    async with joined(reach) as host:
        record = await chosen(host, name)
        began = time.perf_counter()
        await _watch(host, record)
        if not await _is_gone(host, record):
            raise VykedError(f"{record.node_id} was told to drain and its connection ended, but it still answers")
        click.echo(f"{record.node_id} drained in {span(time.perf_counter() - began)}")


async def _watch(host: Host, record: NodeRecord) -> None:
    """Show how far it is until its connection ends. Raises ApplicationError or ServiceError when it refuses."""
    last: Progress | None = None
    try:
        async for each in host.ask(record).drain.using(timeout=600.0)():
            if each != last:
                say(_words(record.node_id, each))
            last = each
    except CallError:  # its listeners closed, which is what it was told to do
        if last is None:
            raise


def _words(node: str, each: Progress) -> str:
    running = f"{each.running} still running: {', '.join(each.of)}" if each.running else "no call is running"
    return f"{node} is {each.phase}, {running}"


async def _is_gone(host: Host, record: NodeRecord) -> bool:
    """Does nobody listen at its addresses any more?"""
    until = time.perf_counter() + GONE_S
    while time.perf_counter() < until:
        try:
            channel = await host.dial(record.addresses[0].uri, timeout=1.0)
        except (VykedError, OSError):
            return True
        is_another = channel.node_id != record.node_id
        await channel.aclose()
        if is_another:
            return True
        await asyncio.sleep(0.1)
    return False
