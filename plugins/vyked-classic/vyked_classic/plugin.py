"""Entry points of the back ends: light; what they need is imported when they are built. One object a host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, cast

from vyked_host.contracts import (
    Environment,
    Guarantees,
    HostView,
    Middleware,
    NoOptions,
    Provider,
    PubSub,
    Registry,
    Transport,
    hookimpl,
)

from .options import BusOptions, RegistryOptions, TransportOptions

if TYPE_CHECKING:
    from .events.bus import ClassicBus
    from .events.channels import Channel
    from .joined import ClassicRegistry

BUS = Guarantees(
    fan_out=True,
    at_least_once=False,  # who is not connected misses the event
    one_of_group=True,  # the registry says whose turn it is
    strategies=frozenset({"any", "leader", "random", "keyed"}),
    max_message_bytes=1 << 20,
)


class Plugin:
    """What this distribution offers to one host, and what its parts know of each other there."""

    def __init__(self) -> None:
        self.joined: ClassicRegistry | None = None
        self.bus: ClassicBus | None = None
        self._counts: Environment | None = None
        self._receives: tuple[TransportOptions, Environment] | None = None

    @hookimpl
    def vyked_transports(self) -> Iterable[Provider[Transport]]:
        """The transport ``classic``."""
        summary = "calls to and from processes of Vyked 2.x, over its wire"
        return [
            Provider(
                name="classic", summary=summary, options=TransportOptions, build=self._transport, guarantees=_guarantees
            )
        ]

    def _transport(self, options: TransportOptions, env: Environment) -> Transport:
        from .transport import ClassicTransport

        if options.registry is not None:
            self._receives = (options, env)
        return ClassicTransport(options, env, self._published)

    def _published(self, channel: Channel, payload: bytes) -> bool:
        """An event of release 2.1.91, which sends those for one instance without Redis."""
        return self.bus is not None and self.bus.take_one(channel, payload)

    @hookimpl
    def vyked_registries(self) -> Iterable[Provider[Registry]]:
        """The registry ``classic``."""
        summary = "this host's services at a registry of Vyked 2.x, or at one that speaks like it"
        return [Provider(name="classic", summary=summary, options=RegistryOptions, build=self._registry)]

    def _registry(self, options: RegistryOptions, env: Environment) -> Registry:
        from .joined import ClassicRegistry

        self.joined = ClassicRegistry(options, env)
        return self.joined

    @hookimpl
    def vyked_pubsub_backends(self) -> Iterable[Provider[PubSub]]:
        """The bus ``classic``."""
        summary = "events on the Redis channels of Vyked 2.x; nothing is kept"
        return [
            Provider(
                name="classic",
                summary=summary,
                options=BusOptions,
                build=self._bus,
                guarantees=lambda _: BUS,
                verify=_verify,
            )
        ]

    def _bus(self, options: BusOptions, env: Environment) -> PubSub:
        from .events.bus import ClassicBus

        self.bus = ClassicBus(options, env, lambda: self.joined)
        return self.bus

    @hookimpl
    def vyked_middlewares(self) -> Iterable[Provider[Middleware]]:
        """The middleware ``classic``."""
        summary = "counts calls for GET /_stats, and lets the texts of exceptions of old services out"
        return [Provider(name="classic", summary=summary, build=self._middleware)]

    def _middleware(self, _options: NoOptions, env: Environment) -> Middleware:
        self._counts = env
        from vyked.utils.stats import Aggregator, count

        from .middleware import Counting

        return Counting(Aggregator.update_stats, count)

    @hookimpl
    def vyked_lifespan(self, host: HostView) -> AbstractAsyncContextManager[None] | None:
        """Old processes register here while the host lives, where ``[transports.classic] registry`` says so; calls are reported
        where the middleware counts them."""
        if self._receives is None and self._counts is None:
            return None
        return _living(self._receives, self._counts, host)


@asynccontextmanager
async def _living(
    receives: tuple[TransportOptions, Environment] | None, counts: Environment | None, host: HostView
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        if counts is not None:
            from .reporting import reporting

            await stack.enter_async_context(reporting(counts, host))
        if receives is not None:
            from .guests.opening import receiving

            await stack.enter_async_context(receiving(*receives, host))
        yield


async def _verify(bus: PubSub) -> Guarantees:
    from .events.bus import ClassicBus

    await cast(ClassicBus, bus).verify()
    return BUS


def _guarantees(_options: object) -> Guarantees:
    return Guarantees()
