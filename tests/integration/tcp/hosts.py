"""Real hosts on real loopback sockets, as small as they can be: an Environment, handlers that are plain functions."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import msgspec

from vyked_host.builtin.tcp.client import ClientLink
from vyked_host.builtin.tcp.listener import TcpListener
from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.transport import TcpTransport
from vyked_host.contracts import (
    Call,
    EndpointDescription,
    Environment,
    Fault,
    Generation,
    Kind,
    LimitsTable,
    Running,
    Sink,
    Surface,
    TimingTable,
    Trust,
)  # fmt: skip
from vyked_host.runtime.clock import LoopClock
from vyked_host.runtime.net import AsyncioNet

Handler = Callable[[Call, Sink], Running | None]


async def _no_dial(_address: Any, _deadline: float) -> Any:
    raise AssertionError("not used")


def _no_tasks(_body: Any, _name: str) -> Any:
    raise AssertionError("not used")


def environment(
    node: str = "a1", mesh: str = "demo", limits: LimitsTable | None = None, timing: TimingTable | None = None,
    serializers: tuple[str, ...] = ("msgpack", "json"), callers: tuple[str, ...] = (), net: Any = None,
    generation: Generation | None = None, tls: Any = None, trust: Trust | None = None,
) -> Environment:  # fmt: skip
    return Environment(
        name="tcp", node_id=node, namespace=mesh, state_dir="", limits=limits or LimitsTable(),
        timing=timing or TimingTable(), clock=LoopClock(asyncio.get_running_loop()), rng=random.Random(1),
        net=net or AsyncioNet(), tasks=_no_tasks, log=logging.getLogger("test.tcp"), dial=_no_dial,
        tls=tls or (lambda side, **_: None), hub=lambda address: None, trust=trust or Trust(), serializers=lambda: dict.fromkeys(serializers), callers=lambda: callers,
        generation=lambda: generation,
    )  # fmt: skip


def endpoint(name: str, kind: Kind = Kind.UNARY, **more: Any) -> EndpointDescription:
    return EndpointDescription(**{"service": "lab", "version": "1.0.0", "name": name, "kind": kind, **more})


class Task:
    """A Running whose calls are kept: what a dispatcher's own would do."""

    def __init__(self, call: Call, sink: Sink) -> None:
        self.call, self.sink = call, sink
        self.items: list[bytes] = []
        self.credits: list[int] = []
        self.ended = self.cancelled = False
        self.changed = asyncio.Event()

    def cancel(self, fault: Fault) -> None:
        self.cancelled = True
        self.changed.set()
        self.sink.fail(self.call, fault)

    def item(self, body: bytes) -> bool:
        self.items.append(body)
        self.changed.set()
        return True

    def end(self) -> None:
        self.ended = True
        self.changed.set()

    def credit(self, items: int) -> None:
        self.credits.append(items)
        self.changed.set()


class Count(Task):
    """Streams the numbers 0 to n - 1, as far as there is credit; n is the body."""

    def __init__(self, call: Call, sink: Sink) -> None:
        super().__init__(call, sink)
        self.left = iter(range(int(msgspec.json.decode(call.body))))
        self.pump()

    def credit(self, items: int) -> None:
        super().credit(items)
        self.pump()

    def pump(self) -> None:
        for number in self.left:
            if not self.sink.item(self.call, msgspec.json.encode(number)):
                return
        asyncio.get_running_loop().call_soon(self.sink.respond, self.call, None)


class Sum(Task):
    """Adds up the items of the caller's stream; grants credit for each it took."""

    def __init__(self, call: Call, sink: Sink) -> None:
        super().__init__(call, sink)
        self.total = 0

    def item(self, body: bytes) -> bool:
        self.total += msgspec.json.decode(body)
        self.sink.credit(self.call, 1)  # type: ignore[attr-defined]
        return super().item(body)

    def end(self) -> None:
        super().end()
        self.sink.respond(self.call, msgspec.json.encode(self.total))


class Shout(Task):
    """Both ways: each item comes back upper-cased."""

    def item(self, body: bytes) -> bool:
        self.sink.item(self.call, body.upper())
        return super().item(body)

    def end(self) -> None:
        super().end()
        self.sink.respond(self.call, None)


class Lab:
    """The calls of a host under test: `contracts.Calls`. What it ran is in `calls`, what still runs in `running`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.running: list[Task] = []
        self.arrived = asyncio.Event()
        self.handlers: list[tuple[EndpointDescription, Handler]] = [
            (endpoint("echo"), self.echo),
            (endpoint("fail"), self.fail),
            (endpoint("wait"), self.keep(Task)),
            (endpoint("count", Kind.SERVER_STREAM), self.keep(Count)),
            (endpoint("sum", Kind.CLIENT_STREAM), self.keep(Sum)),
            (endpoint("shout", Kind.BOTH_WAYS), self.keep(Shout)),
            (endpoint("status", lane="control"), self.echo),
            (endpoint("hold", Kind.SERVER_STREAM), self.keep(Task)),
        ]

    @property
    def surface(self) -> Surface:
        return Surface(revision=1, endpoints=tuple(each for each, _ in self.handlers))

    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        self.calls.append(call)
        running = self.handlers[call.endpoint][1](call, sink)
        self.arrived.set()
        return running

    def echo(self, call: Call, sink: Sink) -> None:
        sink.respond(call, call.body)

    def fail(self, call: Call, sink: Sink) -> None:
        details = {"user_name": "ada"}
        sink.fail(call, Fault(code="APPLICATION", message="no", executed="executed", type="taken", details=details))

    def keep(self, make: Callable[[Call, Sink], Task]) -> Handler:
        def handler(call: Call, sink: Sink) -> Task:
            task = make(call, sink)
            self.running.append(task)
            return task

        return handler

    async def task(self) -> Task:
        """The next call that goes on running."""
        await until(lambda: bool(self.running))
        return self.running.pop(0)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until `condition` holds; fails the test when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what it waits for is elsewhere, in objects that know no events
            await asyncio.sleep(0.002)


class Answer:
    """The sink of a test: one future, and the items of a stream."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.items: list[bytes] = []
        self.credits: list[int] = []
        self.outcomes = 0

    def respond(self, call: Call, body: Any) -> None:
        self.outcomes += 1
        self.future.set_result(body)

    def fail(self, call: Call, fault: Fault) -> None:
        self.outcomes += 1
        self.future.set_result(fault)

    def item(self, call: Call, body: bytes) -> bool:
        self.items.append(body)
        return True

    def credit(self, call: Call, items: int) -> None:
        self.credits.append(items)


def call(channel: ClientLink, name: str, body: bytes = b"", *, seconds: float = 10.0, **more: Any) -> Call:
    """A call of ``lab.name``, not dispatched yet."""
    index = channel.endpoint(endpoint(name))
    deadline = asyncio.get_running_loop().time() + seconds
    return Call(0, index, channel.codec, body, deadline, **more)


def start(channel: ClientLink, name: str, body: bytes = b"", **more: Any) -> tuple[Any, Answer]:
    """Dispatch a call: (what runs, where its outcome comes)."""
    answer = Answer()
    return channel.dispatch(call(channel, name, body, **more), answer), answer


async def ask(channel: ClientLink, name: str, body: bytes = b"", **more: Any) -> Any:
    """The body of the answer, or the Fault."""
    async with asyncio.timeout(10):
        return await start(channel, name, body, **more)[1].future


class Site:
    """One serving host and the channels to it; closes all of it."""

    def __init__(self, env: Environment, lab: Lab, transport: TcpTransport, listener: TcpListener) -> None:
        self.env, self.lab, self.transport, self.listener = env, lab, transport, listener
        self.opened: list[ClientLink] = []

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listener.addresses[0].uri.removeprefix("tcp://").rpartition(":")
        return host, int(port)

    def dialler(self, env: Environment | None = None, **options: Any) -> TcpTransport:
        return TcpTransport(Options(**options), env or environment(node="b2"))

    async def dial(self, env: Environment | None = None, **options: Any) -> ClientLink:
        deadline = asyncio.get_running_loop().time() + 5
        channel = await self.dialler(env, **options).dial(self.listener.addresses[0], deadline=deadline)
        self.opened.append(channel)
        return channel

    async def aclose(self) -> None:
        for channel in self.opened:
            await channel.aclose()
        await self.listener.aclose()


async def serve(env: Environment | None = None, **options: Any) -> Site:
    """A host on a free port."""
    env = env or environment()
    lab = Lab()
    transport = TcpTransport(Options(**{"port": 0, **options}), env)
    return Site(env, lab, transport, await transport.serve(lab, lab.surface))
