"""Terms of the hub: this node's own, whose desks are objects at hand, and another node's, whose desks are called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from ..contracts import Call, Candidate, Channel, Clock, Desk, Fault, Term
from ..errors import Unavailable, UsageError
from ..model.description import Dependency
from ..model.settings import ClientTable
from ..model.topology import Address, Instance, NodeRecord
from ..service.clients import proxy
from ..service.inspect import describe
from .client import ServiceClient
from .codecs import Codecs
from .directory import Target
from .links import Link
from .pending import Pending
from .tasks import TaskScope

S = TypeVar("S")


class OwnTerm(Term):
    """`contracts.Term` of this node."""

    is_here = True

    def __init__(self, node_id: str, desks: Mapping[type, Desk]) -> None:
        self.node_id, self._desks = node_id, desks
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def desk(self, contract: type[S], /) -> S:
        """The desk itself. Raises UsageError when none was offered."""
        found = self._desks.get(contract)
        if found is None:
            raise UsageError(f"no {contract.__name__} was offered to this hub")
        return cast(S, found)

    async def close(self, reason: str, heir: Term | None) -> None:
        """The term ends; its desks are closed, the last one opened first."""
        if not self.over.done():
            self.over.set_result(reason)
        for desk in reversed(list(self._desks.values())):
            await desk.close(heir)


async def opened(offers: Mapping[type, Callable[[], Desk]]) -> dict[type, Desk]:
    """Desks for one more term of this node. Raises errors.StartError when one of them can't open; the others are closed."""
    desks: dict[type, Desk] = {}
    try:
        for contract, make in offers.items():
            desk = make()
            await desk.open()
            desks[contract] = desk
    except BaseException:
        for desk in reversed(desks.values()):
            await desk.close(None)
        raise
    return desks


class Caller:
    """Makes clients of desks: typed calls over one channel, outside of any middleware, balancer or directory."""

    def __init__(self, *, codecs: Codecs, clock: Clock, pending: Pending, tasks: TaskScope, mesh: str) -> None:
        self._codecs, self._clock, self._pending, self._tasks, self._mesh = codecs, clock, pending, tasks, mesh

    def client(self, contract: type[S], address: Address, channel: Channel) -> S:
        """A client of `contract` at the other end of `channel`; it never dials another one."""
        described = describe(contract)
        service = Instance(service=described.name, version=described.version, status="active")
        record = NodeRecord(
            node_id=channel.node_id, namespace=self._mesh, addresses=(address,), instances=(service,)
        )  # fmt: skip
        link = Link(record, Once(channel), dial_s=1.0)
        target = Target(described.name, described.version, ClientTable(), Only(), home="")
        target.update([record], lambda _record: link)
        invoker = ServiceClient(
            target=target, codecs=self._codecs, clock=self._clock, pending=self._pending, chain=(), tasks=self._tasks,
            caller="", balancer=None,
        )  # fmt: skip
        wanted = Dependency(attribute="", service=described.name, version=described.version, contract=contract)
        return cast(S, proxy(wanted, invoker))


class Once:
    """Dials nothing: gives the channel that is open already, until it has retired."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def __call__(self, _address: Address, _deadline: float) -> Channel:
        """The channel. Raises Unavailable once its node is gone."""
        if self._channel.retired.done():
            raise Unavailable(f"node {self._channel.node_id} no longer holds the hub", executed="not_sent")
        return self._channel


class Only:
    """`contracts.Balancer` of one candidate."""

    def update(self, candidates: Sequence[Candidate]) -> None:
        """The candidate."""
        (self._candidate,) = candidates

    def choose(self, _call: Call) -> Candidate:
        """It."""
        return self._candidate


class JoinedTerm(Term):
    """`contracts.Term` of another node."""

    is_here = False

    def __init__(self, channel: Channel, address: Address, caller: Caller) -> None:
        self.node_id, self._channel, self._address, self._caller = channel.node_id, channel, address, caller
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._clients: dict[type, object] = {}
        channel.retired.add_done_callback(self._retired)

    def _retired(self, retired: asyncio.Future[Fault | None]) -> None:
        if not self.over.done():
            fault = None if retired.cancelled() else retired.result()
            self.over.set_result(getattr(fault, "message", "") or f"the connection to node {self.node_id} was closed")

    def desk(self, contract: type[S], /) -> S:
        """A client of the desk, the same one each time."""
        found = self._clients.get(contract)
        if found is None:
            found = self._clients[contract] = self._caller.client(contract, self._address, self._channel)
        return cast(S, found)

    async def aclose(self) -> None:
        """Leave: calls that still run end as `unknown`."""
        await self._channel.aclose()
