"""Entry points of the buses `nats` and `nats-jetstream`, of the registry `nats` and of the transport `nats`: light, the client library is
imported when one of them is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from vyked_host.contracts import Environment, Guarantees, HostView, Provider, PubSub, Registry, Transport, hookimpl

from .options import LARGEST, BusOptions, JetStreamOptions, RegistryOptions, TransportOptions

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
    queues=True,
    delays=True,
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
            verify=_verify_registry,
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


async def _verify_registry(registry: Registry) -> Guarantees:
    from .registry.registry import NatsRegistry
    from .registry.verify import fit

    await fit(cast(NatsRegistry, registry))
    return Guarantees()


@hookimpl
def vyked_transports() -> Iterable[Provider[Transport]]:
    """The transport over NATS."""
    return [
        Provider(
            name="nats",
            summary="calls between hosts over subjects of NATS servers: no open port",
            options=TransportOptions,
            build=_transport,
            guarantees=lambda _options: Guarantees(streams=True, cancels=True, push=True),
        )
    ]


@hookimpl
def vyked_check_settings(settings: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Who may publish on the servers can reach this host: as with an open port, somebody has to say that this is meant. What this
    registry can't see to is refused, not passed over."""
    security = settings.get("security", {})
    if settings.get("registry", {}).get("use") == "nats" and security.get("serve"):
        yield (
            "security.serve",
            "the registry 'nats' can't know who announces a service: whoever may write to the bucket can",
            'let only hosts of this mesh write there (docs/nats.md) and leave this out, or choose [registry] use = "embedded"',
        )
    for name, table in settings.get("transports", {}).items():
        if table.get("use", name) != "nats":
            continue
        url = (table.get("options") or table).get("url") or TransportOptions().url
        if security.get("tls") is not None:
            yield (
                f"transports.{name}",
                "[security.tls] can't be used over subjects, which have no host names",
                "use tls:// for the NATS servers and [security] secret, or leave this transport out",
            )
        elif not (security.get("secret") or security.get("insecure") or is_loopback(url)):
            yield (
                f"transports.{name}.url",
                "whoever may publish on these servers can call the services of this host",
                "set [security] secret, or say that it is meant: [security] insecure = true",
            )


def is_loopback(url: str) -> bool:
    """Are all servers on this machine?"""
    hosts = [urlsplit(each.strip()).hostname for each in url.split(",")]
    return all(each in ("localhost", "127.0.0.1", "::1") for each in hosts)


def _transport(options: TransportOptions, env: Environment) -> Transport:
    from .transport.transport import NatsTransport

    return NatsTransport(options, env)
