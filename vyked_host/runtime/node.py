"""One running host process, or one of several in a test: start in order, serve, drain in order.

Everything it holds was made elsewhere (`assembly`); it only knows the order of things.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol

from ..contracts import Listener, PubSub, Registry, Transport
from ..errors import Away, StartError, VykedError
from ..model.phase import Phase, step
from ..model.report import is_own
from ..model.settings import Settings
from ..model.topology import Address, NodeRecord
from .behind import Behind
from .client import ServiceClient
from .clock import LoopClock
from .directory import Directory
from .dispatcher import Dispatcher
from .drain import STEPS
from .health import Health, readiness
from .hosted import Hosted
from .lag import LoopLag
from .membership import Membership
from .publisher import Publisher
from .subscriber import Subscriber
from .tasks import GRACE_S, TaskScope

PhaseChanged = Callable[[str, str], None]


class Results(Protocol):
    """Where results of calls with an idempotency key are kept."""

    async def open(self) -> None:
        """Connect. Raises StartError."""

    async def aclose(self) -> None:
        """Let go of it. Idempotent."""


class Hubs(Protocol):
    """The places where nodes meet, opened first and left last."""

    async def open(self) -> None:
        """Join or hold each. Raises StartError."""

    async def aclose(self) -> None:
        """Leave each. Idempotent."""


def _nobody_listens(_old: str, _new: str) -> None:
    """No plugin is told of phases."""


async def _nothing_to_verify() -> None:
    """No back end has to be asked what it gives."""


class Node:
    """A host's life. `listeners` are by name of their table in vyked.toml."""

    def __init__(
        self, *, settings: Settings, dispatcher: Dispatcher, directory: Directory, membership: Membership,
        transports: Mapping[str, Transport], hosted: Sequence[Hosted], subscribers: Sequence[Subscriber],
        publisher: Publisher, pubsub: PubSub, registry: Registry, clock: LoopClock, tasks: TaskScope,
        event_tasks: TaskScope, health: Health, lag: LoopLag, threads: ThreadPoolExecutor, log: logging.Logger,
    ) -> None:  # fmt: skip
        self.settings, self.dispatcher, self.directory, self.membership = settings, dispatcher, directory, membership
        self.transports, self.hosted, self.subscribers = transports, list(hosted), list(subscribers)
        self.publisher, self.pubsub, self.registry = publisher, pubsub, registry
        self.clock, self.tasks, self.event_tasks, self.health = clock, tasks, event_tasks, health
        self.lag, self._threads, self.log = lag, threads, log
        self.listeners: dict[str, Listener] = {}
        self.clients: list[ServiceClient] = []
        self.hubs: Hubs
        self.keys: Results | None = None
        self.left_behind: list[str] = []
        self.lifespans: list[tuple[str, AbstractAsyncContextManager[None]]] = []
        self.phase_changed: PhaseChanged = _nobody_listens
        self.verify: Callable[[], Awaitable[None]] = _nothing_to_verify
        self.verify_registry: Callable[[], Awaitable[None]] = _nothing_to_verify
        groups = [each.subscription.group for each in subscribers if each.subscription.group is not None]
        self._behind = Behind(pubsub, groups, tasks, clock, log)
        self._phase, self.began = Phase.NEW, clock.now()
        self.watching: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.stop_asked: Callable[[], None] | None = None  # set by what ends this process when it is told to
        self.before_serving: Callable[[], None] | None = None  # what takes long, and would hold up the first callers
        self._stack = AsyncExitStack()

    # ---- contracts.HostView ----------------------------------------------------------------------------------------
    @property
    def phase(self) -> str:
        """Where it is in its life."""
        return self._phase.value

    @property
    def record(self) -> NodeRecord:
        """What the registry knows of it."""
        return self.membership.record

    @property
    def node(self) -> NodeRecord:
        """Likewise, under the name that plugins use."""
        return self.membership.record

    @property
    def calls(self) -> Dispatcher:
        """Runs calls."""
        return self.dispatcher

    def statistics(self) -> dict[str, Any]:
        """Counters as they stand."""
        shown = [each for each in self.dispatcher.routes if not is_own(each.endpoint.service)]
        calls = {route.endpoint.path: route.counters.report() for route in shown}
        clients = {path: counters.report() for client in self.clients for path, counters in client.counters.items()}
        return {
            "node": self.record.node_id,
            "phase": self.phase,
            "calls": calls,
            "clients": clients,
            "events": {
                "published": self.publisher.published,
                "failed": self.publisher.failed,
                "consumers": {each.path: {**each.counters.report(), "gaps": each.gaps} for each in self.subscribers},
                "groups": self._behind.latest(),
            },
            "connections": {name: getattr(listener, "connections", 0) for name, listener in self.listeners.items()},
            "in_flight": self.dispatcher.pacing.statistics(),
            "loop_lag_s": self.lag.lag_s,
            "loop_late": self.lag.late,
        }

    async def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Ready or not, with reasons."""
        return readiness(self.phase, self.membership.reasons(), await self.health.problems(), self.health.notes())

    # ---- start -----------------------------------------------------------------------------------------------------
    def enter(self, phase: Phase) -> None:
        """Take the next step of life, and tell plugins."""
        old, self._phase = self._phase, step(self._phase, phase)
        self.phase_changed(old.value, phase.value)

    async def start(self) -> None:
        """Back ends verified, lifespans, services, subscriptions, listeners, registry last; undone when a step fails. Raises StartError."""
        self.enter(Phase.STARTING)
        try:
            await self._start()
        except BaseException:
            await self.stop_started()
            raise
        self.enter(Phase.SERVING)

    async def _start(self) -> None:
        self.tasks(self.lag.measure(), "loop lag")
        for watching in self.watching:
            self.tasks(watching(), "watch of the mesh")
        await self._meet()
        if self.keys is not None:
            await self.keys.open()
        for name, manager in self.lifespans:
            await self._enter_lifespan(name, manager)
        for hosted in self.hosted:
            await hosted.start()
        if self.before_serving is not None:
            self.before_serving()
        for subscriber in self.subscribers:  # before anybody can call: a new group would miss what handlers publish
            await subscriber.start(self.pubsub)
        for name, transport in self.transports.items():
            surface = self.dispatcher.surface(name, self.settings.transports[name].use)
            self.listeners[name] = await transport.serve(self.dispatcher, surface)
        await self.membership.join(self.addresses)

    async def _meet(self) -> None:
        """Find the others, and ask registry and bus what they give; where nobody answers, those that were known last do. Raises
        StartError, ConfigError."""
        recalled = False
        try:
            await self.hubs.open()
            await self.verify_registry()
        except Away as error:
            recalled = self.membership.recall()
            if not recalled:
                raise
            self.log.warning("%s. Starting with the nodes that were known last", error)
        try:
            await self.verify()
        except Away:  # a bus at the hub; what it declares was compared before
            if not recalled:
                raise

    async def _enter_lifespan(self, name: str, manager: AbstractAsyncContextManager[None]) -> None:
        try:
            async with asyncio.timeout(self.settings.timing.start):
                await manager.__aenter__()
        except TimeoutError as error:
            raise StartError(f"plugin {name}: lifespan not entered within {self.settings.timing.start:g} s") from error
        except Exception as error:
            said = error if isinstance(error, VykedError) else f"its lifespan failed: {error!r}"
            raise StartError(f"plugin {name}: {said}") from error
        self._stack.push_async_callback(self._leave_lifespan, name, manager)

    async def _leave_lifespan(self, name: str, manager: AbstractAsyncContextManager[None]) -> None:
        try:
            async with asyncio.timeout(self.settings.timing.stop):
                await manager.__aexit__(None, None, None)
        except TimeoutError:
            self.left_behind.append(f"lifespan of plugin {name}")
        except Exception:
            self.log.exception("plugin %s: leaving its lifespan failed", name)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, ports resolved."""
        return tuple(address for listener in self.listeners.values() for address in listener.addresses)

    # ---- end -------------------------------------------------------------------------------------------------------
    async def drain(self) -> list[str]:
        """All steps of the drain; the answer names what did not end in time."""
        for each in STEPS:
            try:
                await each.run(self)
            except Exception:
                self.log.exception("drain: %s failed", each.name)
        return self.left_behind

    async def stop_started(self) -> None:
        """Undo a start that failed half-way, in reverse."""
        await self.end("leaving the registry", self.membership.leave())
        await self.close_listeners()
        await self.close_subscribers()
        await self.stop_services()
        await self.close_rest()

    async def abort(self) -> list[str]:
        """The second signal: cancel what runs, name it, close everything."""
        await self.cut_handlers()
        await self.stop_started()
        return self.left_behind

    async def cut_handlers(self) -> None:
        """Take no more calls, cancel what runs and name it; what cleans up after itself gets a moment for it."""
        self.dispatcher.close(f"{self.record.node_id} is stopping")
        self.left_behind += self.dispatcher.abort() + self.event_tasks.names()
        await self.event_tasks.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self.dispatcher.idle()

    async def end(self, what: str, ending: Awaitable[object]) -> None:
        """One step of the end, within ``[timing] stop``: its failure is logged and keeps none of the others from running."""
        try:
            async with asyncio.timeout(self.settings.timing.stop):
                await ending
        except TimeoutError:
            self.left_behind.append(what)
            self.log.error("%s took over %g s ([timing] stop)", what, self.settings.timing.stop)  # noqa: TRY400
        except Exception:
            self.log.exception("%s failed", what)

    async def close_subscribers(self) -> None:
        """End every subscription; what was not settled goes back to its group."""
        for subscriber in self.subscribers:
            await self.end(f"closing the subscription of {subscriber.path}", subscriber.aclose())

    async def close_listeners(self) -> None:
        """Close them in reverse order of opening."""
        for name, listener in reversed(self.listeners.items()):
            await self.end(f"closing the listener {name}", listener.aclose())

    async def stop_services(self) -> None:
        """Stop them in reverse order of starting."""
        for hosted in reversed(self.hosted):
            self.left_behind += await hosted.stop()

    async def close_rest(self) -> None:
        """Subscriptions, links, bus, registry, plugins' lifespans in reverse, tasks, threads."""
        if self._phase not in (Phase.STOPPING, Phase.STOPPED):
            self.enter(Phase.STOPPING)
        await self.close_subscribers()
        await self.end("publishing the last events", self.publisher.flush())
        await self.end("closing the connections to other nodes", self.directory.aclose())
        await self.end("closing the bus", self.pubsub.aclose())
        if self.keys is not None:
            await self.end("closing the store of results", self.keys.aclose())
        await self.end("closing the registry", self.registry.aclose())
        await self.end("leaving the hub", self.hubs.aclose())
        await self._stack.aclose()
        self.left_behind += await self.tasks.cancel()
        self.clock.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._phase is not Phase.STOPPED:
            self.enter(Phase.STOPPED)
