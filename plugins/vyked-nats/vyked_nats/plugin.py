"""Entry points of `pubsub.nats`, `pubsub.nats-jetstream` and `registry.nats`: light, the client library is imported when a bus is built."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import msgspec

from vyked_host.contracts import Environment, Guarantees, HostView, Provider, PubSub, Registry, hookimpl

from .options import LARGEST, BusOptions, JetStreamOptions, RegistryOptions

OURS = "vyked_nats."
GUARANTEES = Guarantees(
    fan_out=True,
    at_least_once=False,  # core NATS keeps nothing: who is not connected misses the event
    durability="memory",  # the least there is
    ordered="publisher",  # one connection per publisher and one per subscriber, both in order
    strategies=frozenset(),
    max_message_bytes=LARGEST,
)

JETSTREAM = Guarantees(
    fan_out=True,
    at_least_once=True,
    durability="process",  # it outlives the server; the machine only where the server has sync_interval: always, which it tells nobody
    ordered="publisher",  # one connection per publisher; the stream keeps the order in which it got them
    strategies=frozenset({"any", "random"}),
    replay=True,
    dead_letter=True,
    max_message_bytes=LARGEST,
)


@hookimpl
def vyked_pubsub_backends() -> Iterable[Provider[PubSub]]:
    """The buses over NATS."""
    return [
        Provider(
            name="nats",
            summary="events between hosts over NATS servers, to everybody who listens; nothing is kept",
            options=BusOptions,
            build=_bus,
            guarantees=lambda _options: GUARANTEES,
            verify=_verify,
        ),
        Provider(
            name="nats-jetstream",
            summary="events between hosts in a JetStream stream of NATS servers: kept until each group has handled them",
            options=JetStreamOptions,
            build=_jetstream_bus,
            guarantees=_of_jetstream,
            verify=_verify_jetstream,
        ),
    ]


def _bus(options: BusOptions, env: Environment) -> PubSub:
    from .bus import NatsBus

    return NatsBus(options, env)


async def _verify(bus: PubSub) -> Guarantees:
    from .bus import NatsBus

    largest = await cast(NatsBus, bus).verify()
    return msgspec.structs.replace(GUARANTEES, max_message_bytes=largest)


def _jetstream_bus(options: JetStreamOptions, env: Environment) -> PubSub:
    from .jetstream.bus import JetStreamBus

    return JetStreamBus(options, env)


def _of_jetstream(options: JetStreamOptions) -> Guarantees:
    return msgspec.structs.replace(JETSTREAM, ack_wait_s=options.ack_wait, dedupe_s=options.dedupe)


async def _verify_jetstream(bus: PubSub) -> Guarantees:
    from .jetstream.bus import JetStreamBus
    from .jetstream.verify import verified

    jetstream = cast(JetStreamBus, bus)
    return await verified(jetstream, _of_jetstream(jetstream.options))


@hookimpl
def vyked_registries() -> Iterable[Provider[Registry]]:
    """The registry over NATS."""
    return [
        Provider(
            name="nats",
            summary="who is where, in a key-value bucket of NATS servers with JetStream: no process of ours",
            options=RegistryOptions,
            build=_registry,
        )
    ]


@hookimpl
def vyked_lifespan(host: HostView) -> AbstractAsyncContextManager[Any] | None:
    """Answer NATS tools that ask for micro services, where the host uses NATS."""
    over: Any = next((each for each in (host.registry, host.pubsub) if type(each).__module__.startswith(OURS)), None)
    if over is None or not over.options.micro:
        return None
    from .micro import answering

    return answering(host, over)


def _registry(options: RegistryOptions, env: Environment) -> Registry:
    from .registry.registry import NatsRegistry

    return NatsRegistry(options, env)
