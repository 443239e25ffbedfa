"""Entry point of `registry.embedded` and `pubsub.embedded`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...contracts import Environment, Guarantees, Provider, PubSub, Registry, hookimpl
from .options import MIB, BusOptions, RegistryOptions

IN_MEMORY = Guarantees(
    fan_out=True,
    at_least_once=True,  # while the process that holds the hub lives: durability says so
    durability="memory",
    ordered="publisher",
    strategies=frozenset({"any", "leader", "random", "keyed"}),
    dead_letter=True,
    queues=True,
    delays=True,
    dedupe_s=600.0,
    max_message_bytes=MIB,
)


@hookimpl
def vyked_registries() -> Iterable[Provider[Registry]]:
    """The registry that the hosts of a mesh keep among themselves."""
    summary = "hosts find one another; nothing to install or start"
    return [Provider(name="embedded", summary=summary, options=RegistryOptions, build=_registry)]


@hookimpl
def vyked_pubsub_backends() -> Iterable[Provider[PubSub]]:
    """The event bus of this process."""
    summary = "events of one mesh, kept by one of its hosts; nothing to start"
    return [
        Provider(
            name="embedded", summary=summary, options=BusOptions, build=_bus, guarantees=guarantees, verify=_verified
        )
    ]  # fmt: skip


def guarantees(options: BusOptions) -> Guarantees:
    """In memory events live as long as the hub's holder; in a file they outlive its death."""
    return msgspec.structs.replace(
        IN_MEMORY,
        durability="memory" if options.path is None else "process",
        ack_wait_s=options.ack_wait,
        replay=options.keep is not None,
    )


def _registry(options: RegistryOptions, env: Environment) -> Registry:
    from .registry import EmbeddedRegistry

    return EmbeddedRegistry(options, env)


def _bus(options: BusOptions, env: Environment) -> PubSub:
    from .events.bus import EmbeddedBus

    return EmbeddedBus(options, env)


async def _verified(bus: PubSub) -> Guarantees:
    from .events.bus import EmbeddedBus

    assert isinstance(bus, EmbeddedBus)
    return await bus.verify()
