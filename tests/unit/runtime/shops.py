"""A client of several instances behind scripted channels, in virtual time: what the calls are sent, and when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from vyked_host.builtin.serializers.codecs import Msgpack
from vyked_host.errors import Code, Executed
from vyked_host.model.description import EndpointDescription, Kind, Surface
from vyked_host.model.message import Call, Fault
from vyked_host.model.settings import ClientTable, LimitsTable
from vyked_host.model.topology import Generation, Instance, NodeRecord
from vyked_host.runtime.client import ServiceClient
from vyked_host.runtime.clock import LoopClock
from vyked_host.runtime.codecs import Codecs
from vyked_host.runtime.directory import Target
from vyked_host.runtime.links import Link
from vyked_host.runtime.pending import Pending
from vyked_host.runtime.tasks import TaskScope
from vyked_host.service.clients import DynamicClient

Item = msgspec.defstruct("Item", [("n", int)], forbid_unknown_fields=True)
Script = Callable[[Call, Any], None]


def endpoint(name: str = "buy", *, kind: Kind = Kind.UNARY, idempotent: bool = False) -> EndpointDescription:
    return EndpointDescription(
        service="shop", version="1.0.0", name=name, kind=kind, arguments=Item, result=int, inbound=int,
        idempotent=idempotent,
    )  # fmt: skip


# ---- what an instance may do -----------------------------------------------------------------------------------------
def answers(call: Call, sink: Any) -> None:
    """With the number of the attempt."""
    sink.respond(call, msgspec.msgpack.encode(call.attempt))


def hangs(_call: Call, _sink: Any) -> None:
    """No answer."""


def fails(
    code: Code = "UNAVAILABLE", executed: Executed = "not_executed", retry_after: float | None = None, type: str = ""
) -> Script:
    """With this fault."""
    return lambda call, sink: sink.fail(call, Fault(code, "it said no", executed, type=type, retry_after_s=retry_after))


def later(seconds: float, script: Script) -> Script:
    """`script`, after so many seconds."""

    def started(call: Call, sink: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, script, msgspec.structs.replace(call), sink)

    return started


class Channel:
    """A channel to one instance, and the `Running` of its calls."""

    codec = "msgpack"

    def __init__(self, node_id: str, script: Script) -> None:
        self.node_id, self.script = node_id, script
        self.generation: Generation | None = None
        self.retired: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        self.results = ""
        self.idempotent = False
        self.asked: list[tuple[float, int]] = []
        self.cancelled = 0

    @property
    def surface(self) -> Surface:
        served = msgspec.structs.replace(
            endpoint(), keyed=bool(self.results), results=self.results, idempotent=self.idempotent
        )
        return Surface(revision=1, endpoints=(served,))

    def endpoint(self, _wanted: EndpointDescription) -> int:
        return 0

    def dispatch(self, call: Call, sink: Any) -> Any:
        self.asked.append((round(asyncio.get_running_loop().time(), 6), call.attempt))
        self.script(call, sink)
        return self

    def cancel(self, _fault: Fault) -> None:
        self.cancelled += 1

    async def aclose(self) -> None:
        """Nothing to close."""


class InOrder:
    """A balancer that takes the first usable one."""

    def update(self, candidates: Sequence[Any]) -> None:
        self._candidates = candidates

    def choose(self, _call: Call) -> Any:
        return next((each for each in self._candidates if each.usable), self._candidates[0])


class Shops:
    """A client, the instances it calls (each does what its script says), and everything that has to be nothing at the end."""

    def __init__(self, *scripts: Script, **settings: Any) -> None:
        self.instances = [Channel(f"n{at}", each) for at, each in enumerate(scripts)]
        links = {each.node_id: self._link(each) for each in self.instances}
        balancer = InOrder()
        self.target = Target("shop", None, ClientTable(**{"timeout": 5.0} | settings), balancer, home="")
        self.show(*self.instances, links=links)
        self.pending, self.tasks = Pending(limit=None), TaskScope(logging.getLogger("test"))
        self.clock = LoopClock(asyncio.get_running_loop())
        self.client = ServiceClient(
            target=self.target, codecs=Codecs({"msgpack": Msgpack(LimitsTable())}, "msgpack"), clock=self.clock,
            pending=self.pending, chain=(), tasks=self.tasks, caller="", balancer=balancer, chance=lambda: 0.5,
        )  # fmt: skip

    def show(self, *instances: Channel, links: dict[str, Link] | None = None) -> None:
        """These are there now."""
        self._links = links or self._links
        records = [
            each.record for each in self._links.values() if each.record.node_id in {i.node_id for i in instances}
        ]
        self.target.update(records, lambda record: self._links[record.node_id])

    def _link(self, instance: Channel) -> Link:
        async def dial(_address: Any, _limit: float) -> Any:
            raise AssertionError("the channel is there")

        served = Instance(service="shop", version="1.0.0", status="active")
        record = NodeRecord(node_id=instance.node_id, namespace="test", addresses=(), instances=(served,))
        link = Link(record, dial, 1.0)
        link.best.channel = instance
        return link

    def bind(self, name: str = "buy", *, idempotent: bool = False) -> Callable[..., Any]:
        """The method as a function of its options."""
        call = self.client.bind(endpoint(name, idempotent=idempotent))
        return lambda options=None: call(Item(1), None, options)

    def by_name(self, *, idempotent: bool) -> Any:
        """The method through a client that knows its name only; what it is, its instances say."""
        for each in self.instances:
            each.idempotent = idempotent
        return DynamicClient(self.client, "shop").buy

    @property
    def asked(self) -> list[int]:
        """How often each instance was."""
        return [len(each.asked) for each in self.instances]

    @property
    def left(self) -> tuple[int, int]:
        """Calls that wait, and calls in flight."""
        return len(self.pending), sum(each.in_flight for each in self.target.instances)

    @property
    def decisions(self) -> dict[str, int]:
        """What the client decided."""
        found: dict[str, int] = {}
        for counters in self.client.counters.values():
            for name, count in counters.decisions.items():
                found[name] = found.get(name, 0) + count
        return found
