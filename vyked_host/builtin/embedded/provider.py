"""Entry point of `registry.embedded` and `pubsub.embedded`."""

from __future__ import annotations

from collections.abc import Iterable

from ...contracts import Environment, Guarantees, Provider, PubSub, Registry, hookimpl
from .options import MIB, BusOptions, RegistryOptions

GUARANTEES = Guarantees(
    fan_out=True,
    at_least_once=True,  # while this process lives: durability says so
    durability="memory",
    ordered="publisher",
    strategies=frozenset({"any", "leader", "random", "keyed"}),
    dead_letter=True,
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
    summary = "events of this process, in memory; nothing to start"
    return [
        Provider(
            name="embedded", summary=summary, options=BusOptions, build=_bus, guarantees=lambda _options: GUARANTEES
        )
    ]  # fmt: skip


def _registry(options: RegistryOptions, env: Environment) -> Registry:
    from .registry import EmbeddedRegistry

    return EmbeddedRegistry(options, env)


def _bus(options: BusOptions, env: Environment) -> PubSub:
    from .bus import EmbeddedBus

    return EmbeddedBus(options, env)
