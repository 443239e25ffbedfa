"""What every outgoing call needs of its endpoint, as one client sees it: deadline, instance, connection, codecs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..contracts import Channel
from ..errors import DeadlineExceeded, NotConnected, Unavailable
from ..model.description import EndpointDescription, Kind
from ..model.message import Call
from ..routing.candidates import another
from ..service.clients import CallOptions
from ..service.context import inherited_context
from ..wire import metadata as headers
from .client_codecs import ClientCodecs
from .instances import Instance
from .links import Way
from .statistics import CallCounters

if TYPE_CHECKING:
    from .client import ServiceClient

HOP_S = 0.005
"""What a nested call leaves of its caller's time for the way back (docs/semantics.md, deadlines)."""
LEAST_S = 1e-6
"""With less time than that, nothing is begun: choosing an instance takes longer."""
AGAIN_S = 0.05
"""Between two dials of a call that waits for a transport; those that wait themselves are not held up by it."""
PLAIN = CallOptions()
"""Of a call without options."""


class Outgoing:
    """One endpoint as seen by one client. `timeout` in seconds."""

    def __init__(
        self, client: ServiceClient, endpoint: EndpointDescription, counters: CallCounters, timeout: float
    ) -> None:  # fmt: skip
        self.client, self.endpoint, self.counters, self.timeout = client, endpoint, counters, timeout
        self._now, self._loop = client.clock.now, asyncio.get_running_loop()
        self._target, self._pending, self._observer = client.target, client.pending, client.observer
        self._waiting, self._seconds, self._caller = client.pending.waiting, counters.tally.seconds, client.caller
        self._codecs: dict[str, ClientCodecs] = {}
        self._only = "http" if endpoint.kind is Kind.HTTP else client.target.settings.transport
        self._count = client.target.settings.connections
        self.is_plain = self._only is None and self._count == 1
        """By whatever transport, and one connection is enough."""

    def deadline(self, options: CallOptions | None) -> float:
        """When a call that begins now has to be over: its own time, and what is left of the call it is made in."""
        deadline = self._now() + (self.timeout if options is None or options.timeout is None else options.timeout)
        outer = inherited_context(None)
        return deadline if outer is None else min(deadline, outer.deadline - HOP_S)

    def _new(self, options: CallOptions, now: float) -> Call:
        deadline = now + (self.timeout if options.timeout is None else options.timeout)
        outer = inherited_context(None)
        if outer is None:
            metadata = headers.pack(options.metadata) if options.metadata else None
        else:
            deadline = min(deadline, outer.deadline - HOP_S)
            metadata = outer.onward(options.metadata)
        return Call(
            0, 0, "", None, deadline, None, metadata, 1, options.entity, options.idempotency_key, self.client.caller
        )  # fmt: skip

    def _choose(self, call: Call, options: CallOptions | None, now: float) -> Instance:
        if call.deadline - now < LEAST_S:
            raise DeadlineExceeded(
                f"{self.endpoint.path}: no time was left",
                service=self.endpoint.service, method=self.endpoint.name, executed="not_sent",
            )  # fmt: skip
        if options is not None and options.instance:
            return self._target.named(options.instance)
        return self._target.choose(call)

    def _way_to(self, instance: Instance) -> Way:
        return instance.link.best if self.is_plain else instance.link.least_busy(self._only, self._count)

    async def _dialled(
        self, instance: Instance, way: Way, call: Call, options: CallOptions | None
    ) -> tuple[Instance, Way, Channel]:  # fmt: skip
        """Who can be reached, and how: `instance`, dialled. While its transport has no connection itself (NotConnected), another, or whoever
        comes back first: nothing was sent, and all who wait share one dial, so that is no attempt and costs nothing of the budget."""
        while True:
            try:
                return instance, way, await way.open(call.deadline)
            except Unavailable as error:
                error.instance = instance.node_id
                self.client.ejection.rest(instance)
                if not isinstance(error, NotConnected):
                    raise
            other = None if options is not None and options.instance else self._not_away(instance)
            if other is None:
                await asyncio.sleep(AGAIN_S)
            else:
                instance, way = other, self._way_to(other)

    def _not_away(self, instance: Instance) -> Instance | None:
        """Another that can take a call, over a transport that is not known to be away."""
        others = [each for each in self._target.instances if each is not instance and not self._way_to(each).away]
        return another(others, (), self.client.chance())

    def codecs_of(self, name: str) -> ClientCodecs:
        """The codecs called `name`, bound when they are first needed."""
        found = self._codecs.get(name)
        if found is None:
            found = self._codecs[name] = ClientCodecs(self.endpoint, self.client.codecs, name)
        return found
