"""Calls: one shape for server, client, local and proxies.

`Calls` and `Sink` run on the event loop, never block, never raise. Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from ..model.description import EndpointDescription, Surface
from ..model.message import Call, Fault
from ..model.topology import Address, Generation


class Sink(Protocol):
    """Where the outcome of a call goes. Exactly one of `respond` and `fail` ends it, once."""

    def respond(self, call: Call, body: Any) -> None:
        """The call succeeded. `body` is encoded with `call.codec`; it is empty (None) where the answer was a stream."""

    def fail(self, call: Call, fault: Fault) -> None:
        """The call failed, for the reason in `fault`."""

    def item(self, call: Call, body: Any) -> bool:
        """One item of a streamed answer. False: credit is used up, wait for :meth:`Running.credit` before the next."""
        ...


class Running(Protocol):
    """A call that is still running, seen from its caller."""

    def cancel(self, fault: Fault) -> None:
        """The caller gave up: the handler's task is cancelled. Its outcome still reaches the sink, once."""

    def item(self, body: Any) -> bool:
        """One item of the caller's stream. False: wait until the callee grants more (the sink's `credit`)."""
        ...

    def end(self) -> None:
        """The caller's stream is complete."""

    def credit(self, items: int) -> None:
        """The caller can take `items` more items of the answer."""


class CreditSink(Sink, Protocol):
    """A sink whose call has a stream towards the handler: it is told when the handler can take more."""

    def credit(self, call: Call, items: int) -> None:
        """The handler can take `items` more items."""


class Calls(Protocol):
    """Whatever runs calls: the dispatcher of a node, a channel to another one, a proxy in between."""

    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Start `call`; its outcome goes to `sink`. None: answered already, synchronously - no Task, no Future, no entry."""
        ...


class Entered(Running, Protocol):
    """A call that has been let in and not begun: whoever brought it runs it."""

    def here(self) -> Coroutine[Any, Any, None]:
        """Run it in the current task, which is that of this call alone and in a Context of its own, until the sink has its outcome;
        to be awaited at once. :meth:`Running.cancel` cancels that task; then the sink hears of it, and the task has to be told to
        go on (`Task.uncancel`). A cancellation that came from elsewhere is raised once the sink has heard."""
        ...


class RunsHere(Calls, Protocol):
    """`Calls` that spare a transport with a task for each call another one, and two turns of the loop."""

    def enter(self, call: Call, sink: Sink) -> Entered | None:
        """As `dispatch` of a call without streams, but nothing runs before :meth:`Entered.here`. None: answered already."""
        ...


class Channel(Calls, Protocol):
    """The client end of one shared connection to a NODE (not to a service). `dispatch` sets `call.id` and fails calls
    with `not_sent` when the channel is retired."""

    codec: str
    node_id: str
    generation: Generation | None
    retired: asyncio.Future[Fault | None]

    @property
    def surface(self) -> Surface:
        """What the node serves, as agreed in the hello and since."""
        ...

    def endpoint(self, wanted: EndpointDescription) -> int:
        """The index to call `wanted` by: same service and name, the highest version that is `compatible(offered, wanted)`;
        a version of "" wants any release. Raises errors.NotFound naming what exists; errors.NotSupported for an endpoint
        with streams where the transport declares none."""
        ...

    async def aclose(self) -> None:
        """Close it; running calls fail with `unknown`. Idempotent."""


class Listener(Protocol):
    """The server end of a transport. `addresses` are as advertised, with port 0 resolved: `transport` is the PLUGIN's name
    (other hosts don't know our tables), and so is the scheme of `uri` (``nats:...``), by which ``--address`` and
    ``[registry.static]`` find the plugin to dial with."""

    addresses: tuple[Address, ...]

    def expose(self, surface: Surface) -> None:
        """The endpoints changed (reload, late activation): from now on these are served and told to peers."""

    def stop_accepting(self) -> None:
        """Drain began: no new connections, GOAWAY to peers; what runs goes on and the control lane keeps answering."""

    async def aclose(self) -> None:
        """Flush, close every connection and the socket. Idempotent."""


class Transport(Protocol):
    """A way for calls to travel. One object per ``[transports.NAME]``."""

    async def serve(self, calls: Calls, surface: Surface) -> Listener:
        """Bind and serve. Raises errors.StartError when it can't (a port in use: naming who to ask)."""
        ...

    async def dial(self, address: Address, *, deadline: float) -> Channel:
        """Connect; returns once the hello is answered. Raises errors.Unavailable (`not_sent`), errors.NotSupported; NotConnected, an
        Unavailable, where it is this end that has no connection to the servers it works over: such calls wait for it."""
        ...
