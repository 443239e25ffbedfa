"""The end of a host, as a table of named steps in their order; why each stands where it does is its comment.

Handlers that still run may still call out and publish, so everything they need is closed after them (nameko's argument), and
others hear that this node leaves before it stops to listen (moleculer's).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from ..model.phase import Phase

if TYPE_CHECKING:
    from .node import Node

PROPAGATION_S = 1.0
"""What the others get to see that this node leaves before it stops to accept (docs/semantics.md, drain)."""


class Step(NamedTuple):
    """One step: its name, and what it does with a node."""

    name: str
    run: Callable[[Node], Awaitable[None]]


async def _unready(node: Node) -> None:
    node.enter(Phase.DRAINING)
    for hosted in node.hosted:
        hosted.rest()  # periodic work makes calls: it ends first


async def _withdraw(node: Node) -> None:
    watched = node.membership.is_watched
    await node.end("leaving the registry", node.membership.leave())
    if watched:
        await asyncio.sleep(PROPAGATION_S * node.settings.timing.scale)


async def _stop_accepting(node: Node) -> None:
    for subscriber in node.subscribers:
        subscriber.pause()
    for listener in node.listeners.values():
        listener.stop_accepting()


async def _finish_handlers(node: Node) -> None:
    try:
        async with asyncio.timeout(node.settings.host.drain_timeout):
            await node.dispatcher.idle()
            await node.event_tasks.idle()
    except TimeoutError:
        await node.cut_handlers()
    node.dispatcher.close(f"{node.record.node_id} is stopping")


async def _flush(node: Node) -> None:
    try:
        async with asyncio.timeout(node.settings.timing.stop):
            await node.publisher.flush()
    except TimeoutError:
        node.left_behind.append("events not yet accepted by the bus")


async def _close_listeners(node: Node) -> None:
    await node.close_listeners()


async def _stop_services(node: Node) -> None:
    await node.stop_services()


async def _close_rest(node: Node) -> None:
    await node.close_rest()


STEPS: tuple[Step, ...] = (
    Step("unready", _unready),  # probes and readiness say so first
    Step("withdraw", _withdraw),  # the others stop routing here, and get the time to see it
    Step("stop accepting", _stop_accepting),  # only now, so that nobody meets a closed door
    Step("finish handlers", _finish_handlers),  # outbound stays open: they may still call
    Step("flush events", _flush),  # what handlers published at their end
    Step("close listeners", _close_listeners),  # the last answers are out
    Step("stop services", _stop_services),  # after the last handler, in reverse order of start
    Step("close the rest", _close_rest),  # links, bus, registry, plugins' lifespans in reverse
)
