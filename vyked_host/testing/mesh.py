"""`running(...)`: services on the real runtime in this process, and the `Mesh` that a test talks to them through.

Nothing is simulated but what is asked for: `fakes` stand for services that are not there, `virtual_time` for waiting. Free of
any test framework.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal, TypeVar, cast

from aiohttp import ClientSession

from ..assembly import Host
from ..errors import UsageError
from ..model.description import EventDescription
from ..runtime.hosted import Hosted
from ..service.endpoints import Event, Published
from ..service.inspect import describe
from . import virtual_time as virtual
from .fakes import StandIn
from .record import Record, topic

S = TypeVar("S")
E = TypeVar("E")
Over = Literal["local", "tcp", "http"]
ROUTES: tuple[str, ...] = ("local", "tcp", "http")
WITHIN_S = 5.0
_SHORTEST_S, _LONGEST_S = 0.001, 0.05
"""Between two looks at whether all events are handled: short at first, then longer."""


def _any(_payload: object) -> bool:
    return True


class Mesh:
    """Services that run, seen from their test. Clients call over `over` unless told otherwise."""

    def __init__(self, host: Host, over: str, caller: Host, is_virtual: bool, stack: AsyncExitStack) -> None:
        self.host = host
        self._over, self._caller, self._virtual, self._stack = over, caller, is_virtual, stack
        self._record = Record(host.node.pubsub, host.node.event_tasks)

    async def follow_events(self) -> None:
        """Record every event that a service here publishes or subscribes to. `running` does this."""
        for hosted in self.host.node.hosted:
            for event in hosted.description.events:
                await self._record.follow(topic(event), event.payload)
            for each in hosted.description.subscriptions:
                await self._record.follow((each.service, each.major, each.event), each.payload)
        self._stack.push_async_callback(self._record.aclose)

    # ---- calls -----------------------------------------------------------------------------------------------------
    def client(self, service: type[S], /, *, over: str | None = None) -> S:
        """A client of a service, typed as it. `over` "local" reaches it without a socket. Raises UsageError for a way that
        `running` did not open."""
        way = over or self._over
        if way not in ("local", self._over):
            raise UsageError(f"this mesh has no {way}: running(..., over={way!r})")
        return (self.host if way == "local" else self._caller).client(service)

    def instance(self, service: type[S], /) -> S:
        """The instance of a service that runs here."""
        return self.host.instance(service)

    def http(self, service: type[object], /) -> ClientSession:
        """A session whose URLs begin at `service`: ``http.get("/users/ada")``. Raises UsageError without ``over="http"``."""
        self._hosted(service)
        base = next((each.uri for each in self.host.addresses if each.transport == "http"), None)
        if base is None:
            raise UsageError('there is no HTTP in this mesh: running(..., over="http")')
        session = ClientSession(base_url=base)
        self._stack.push_async_callback(session.close)
        return session

    # ---- events ----------------------------------------------------------------------------------------------------
    def publish(self, event: Event[..., E], payload: E, /) -> Awaitable[Published]:
        """Publish an event in the place of its service. Awaiting it: the bus has it."""
        return self.host.publish(event, payload)

    async def next(
        self, event: Event[..., E], /, *, within: float = WITHIN_S, where: Callable[[E], bool] = _any
    ) -> E:  # fmt: skip
        """The next event, from the beginning of the mesh on, each given once; waits `within` seconds for one. An event that
        no service here has to do with is seen from the first `next` on. Raises AssertionError when none comes."""
        found = described(event)
        await self._record.follow(topic(found), found.payload)
        return cast("E", await self._record.next(topic(found), within, where))

    async def settled(self, *, within: float = WITHIN_S) -> None:
        """Wait until every handler of every event so far has returned, retries included. Raises TimeoutError."""
        node, pause = self.host.node, _SHORTEST_S
        async with asyncio.timeout(within):
            while True:
                await node.publisher.flush()
                await node.event_tasks.idle()
                if not any([await each.pending() for each in node.subscribers]) and not node.event_tasks.names():
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_S)

    # ---- life ------------------------------------------------------------------------------------------------------
    async def advance(self, seconds: float, /) -> None:
        """Let virtual time pass; every timer on the way goes off in its order. Raises UsageError in real time."""
        if not self._virtual:
            raise UsageError("time is real in this mesh: running(..., virtual_time=True)")
        await asyncio.sleep(seconds)

    async def drain(self, service: type[object], /) -> None:
        """Take one service out as a shutdown would: no new calls (Unavailable), running ones finish, then `on_stop`."""
        hosted, node = self._hosted(service), self.host.node
        hosted.rest()
        routes = [each for each in node.dispatcher.routes if each.endpoint.service == hosted.name]
        for route in routes:
            route.open, route.closed_reason = False, f"{hosted.name} is draining"
        while any(route.counters.in_flight for route in routes):  # noqa: ASYNC110 - counters tell nobody
            await asyncio.sleep(_SHORTEST_S)
        await hosted.stop()

    def _hosted(self, service: type[object]) -> Hosted:
        for hosted in self.host.node.hosted:
            if isinstance(hosted.instance, service):
                return hosted
        raise UsageError(f"{service.__name__} does not run in this mesh: running({service.__name__}, ...)")


def described(event: Event[..., Any]) -> EventDescription:
    """The description of an event, of the service that publishes it. Raises UsageError."""
    if event.owner is None:
        raise UsageError(f"{event!r} belongs to no service: take it from the class, as in Identity.password_changed")
    return next(each for each in describe(event.owner).events if each.name == event.name)


@asynccontextmanager
async def running(
    *services: type[object], options: Mapping[str, Mapping[str, Any]] | None = None,
    fakes: Mapping[str, object] | None = None, config: str = "", over: str = "local", virtual_time: bool = False,
) -> AsyncIterator[Mesh]:  # fmt: skip
    """Run service classes (or instances) together and give a `Mesh` to test them through; drained at the end.

    `options`: service name -> its ``[services.NAME.options]``. `fakes`: service name -> an object in its place. `config`: text
    of a vyked.toml. `over`: how the mesh's clients call, "local" (no socket), or "tcp" or "http" over loopback. With
    `virtual_time` the loop's clock jumps from timer to timer instead of waiting; not together with sockets.
    """
    _refuse(over, virtual_time)
    async with AsyncExitStack() as stack:
        if virtual_time:
            stack.enter_context(virtual.virtual_time())
        name = f"test-{secrets.token_hex(4)}"
        stand_ins = {service: StandIn(service, fake) for service, fake in (fakes or {}).items()}
        host = Host(*services, text=config, overrides=_overrides(name, over), fakes=stand_ins, options=options)
        await stack.enter_async_context(host)
        caller = host if over == "local" else await stack.enter_async_context(_caller(host, name, over))
        mesh = Mesh(host, over, caller, virtual_time, stack)
        await mesh.follow_events()
        yield mesh


def _refuse(over: str, is_virtual: bool) -> None:
    if over not in ROUTES:
        raise UsageError(f"over={over!r}: choose one of {', '.join(ROUTES)}")
    if is_virtual and over != "local":
        raise UsageError(f'sockets take real time: virtual_time goes with over="local" only, not with {over!r}')


def _overrides(name: str, over: str) -> tuple[str, ...]:
    transports = ("transports.local={}",) if over == "local" else ("transports.local={}", f"transports.{over}.port=0")
    return (f'host.mesh="{name}"', "plugins.autoload=false", *transports)


@asynccontextmanager
async def _caller(host: Host, name: str, over: str) -> AsyncIterator[Host]:
    """A second host that serves nothing and reaches the first one by its address."""
    address = next(each.uri for each in host.addresses if each.transport == over)
    overrides = (
        f'host.mesh="{name}"', "plugins.autoload=false", "transports.local={}", 'registry.use="static"',
        f'registry.static.nodes=["{address}"]',
    )  # fmt: skip
    async with Host(text="", overrides=overrides) as caller:
        async with asyncio.timeout(WITHIN_S):
            while host.node.record.node_id not in caller.node.directory.nodes:
                await caller.node.directory.change()
        yield caller
