"""The service by which a node is asked and drained: in every host, on the local and the native transport, guarded by their
hello as everything is. Its calls are of the control lane: never shed, and answered while the node drains. No middleware is
around it: it has to answer when those are what is broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from ..errors import ServiceError
from ..model.report import CONTROL, Behind, Failures, Misfit, Moment, NodeReport, Trail, View
from ..model.values import Value
from ..runtime.moments import Departures, Moments
from ..runtime.observer import Observer
from ..runtime.routes import Route
from ..service.base import Service
from ..service.binding import handler
from ..service.decorators import api
from ..service.inspect import describe
from .environment import node_name

if TYPE_CHECKING:
    from ..runtime.node import Node
    from .build import Composition

NATIVE = frozenset({"local", "tcp"})
"""Transports that carry it. Over HTTP it would be open to whoever reaches the port."""
PROGRESS_S = 0.2


class Progress(Value):
    """How far a drain is: how many calls and handlers of events run, and of what."""

    phase: str
    running: int
    of: tuple[str, ...] = ()


class NotDrainable(ServiceError, code="not_drainable", status=409):
    """The host is part of a program that ends it itself."""

    node: str

    def __str__(self) -> str:
        return f"{self.node} runs inside another program, which has to end it"


class Control(Service, name=CONTROL, version="1.0.0"):
    """Asked by the command line; `observer` and `node` are set by :func:`serve_control`."""

    observer: Observer
    node: Node

    @api
    async def report(self) -> NodeReport:
        """The node as it is now."""
        return await self.observer.report()

    @api
    async def lag(self) -> Behind:
        """How far each group of the mesh is behind, as this node's bus says it."""
        return await self.observer.lag()

    @api
    async def view(self, services: list[str]) -> View:
        """What the node knows of other instances of these services."""
        return self.observer.view(frozenset(services))

    @api
    async def failures(self, since: float) -> Failures:
        """Calls and deliveries that failed after `since` (seconds since 1970), at most the last 1,000 of each."""
        return self.observer.failures(since)

    @api
    async def calls(self, call_id: str) -> Failures:
        """The failed calls that an error or a log names so."""
        return self.observer.calls(call_id)

    @api
    async def moment(self, at: float, before: float) -> Moment:
        """How the node was from `before` seconds before `at` (seconds since 1970) until just after it."""
        return self.observer.moments.at(at, before)

    @api
    async def deliveries(self, event_id: str, topic: str) -> Trail:
        """What the node knows of one event; `topic` (``service.event@major``) may be empty where it is not known."""
        return await self.observer.trail(event_id, topic)

    @api
    async def misfits(self, topic: str, content_type: str, body: bytes) -> list[Misfit]:
        """Which handlers of `topic` (``service.event@major``) here can't read a payload."""
        return self.observer.misfits(topic, content_type, body)

    @api(timeout=600.0, raises=[NotDrainable])
    async def drain(self) -> AsyncIterator[Progress]:
        """End this host as SIGTERM would, and tell how far it is until its listeners close. Raises NotDrainable where the
        host is part of a program that ends it itself."""
        if self.node.stop_asked is None:
            raise NotDrainable(self.node.record.node_id)
        self.node.stop_asked()
        while True:
            phase, running, of = self.observer.progress()
            yield Progress(phase=phase, running=running, of=of)
            await asyncio.sleep(PROGRESS_S)


def observe(composition: Composition, node: Node, moments: Moments) -> None:
    """Let `node` look at itself, and tell what it sees to who asks."""
    workshop, departures = composition.workshop, Departures(composition.directory, composition.workshop.clock)
    node.watching.append(departures.follow)
    composition.failures.load = lambda: (len(node.dispatcher.running), node.lag.lag_s)
    environment = workshop.environment("host")
    observer = Observer(
        node, failures=composition.failures, trail=composition.trail, moments=moments, departures=departures,
        pending=composition.pending, name=node_name(composition.settings), mesh=environment.namespace,
        generation=environment.generation,
    )  # fmt: skip
    serve_control(composition, node, observer)


def serve_control(composition: Composition, node: Node, observer: Observer) -> None:
    """Add the control service to `node`."""
    control = Control()
    control.observer, control.node = observer, node
    for endpoint in describe(Control).endpoints:
        own = msgspec.structs.replace(endpoint, lane="control", transports=NATIVE)
        route = Route(own, handler(control, endpoint), (), composition.codecs, composition.threads)
        node.dispatcher.add(route)
