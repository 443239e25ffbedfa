"""Entry points of `registry.redis`, `pubsub.redis`, `pubsub.redis-streams` and `results.redis`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from ...contracts import Environment, Guarantees, Provider, PubSub, Registry, ResultStore, hookimpl
from .options import MIB, BusOptions, RegistryOptions, ResultOptions, StreamOptions

GUARANTEES = Guarantees(
    fan_out=True,
    at_least_once=False,  # PUBLISH is fire and forget: who is not connected misses the event
    durability="memory",  # the least there is; the server keeps nothing at all
    ordered="publisher",  # one connection per publisher and one per subscriber, both in order
    strategies=frozenset(),
    max_message_bytes=MIB,
)

STREAMS = Guarantees(
    fan_out=True,
    at_least_once=True,
    durability="process",  # in the server's memory; "disk" where the options ask for it, and the server writes a log of commands
    ordered="publisher",  # one connection per publisher; a stream keeps the order in which it got them
    strategies=frozenset({"any", "random"}),
    replay=True,
    dead_letter=True,
    queues=True,
    delays=True,
    max_message_bytes=MIB,
)


@hookimpl
def vyked_registries() -> Iterable[Provider[Registry]]:
    """The registry in a Redis or Valkey server."""
    summary = "nodes of one mesh in a Redis or Valkey server; no process of its own"
    return [Provider(name="redis", summary=summary, options=RegistryOptions, build=_registry, verify=_verify_registry)]


@hookimpl
def vyked_check_settings(settings: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """What this registry can't see to is refused, not passed over."""
    if settings.get("registry", {}).get("use") == "redis" and settings.get("security", {}).get("serve"):
        yield (
            "security.serve",
            "the registry 'redis' can't know who announces a service: whoever may write to the server can",
            'let only hosts of this mesh write there (docs/redis.md) and leave this out, or choose [registry] use = "embedded"',
        )


@hookimpl
def vyked_pubsub_backends() -> Iterable[Provider[PubSub]]:
    """The bus over a Redis or Valkey server."""
    summary = "events between hosts over a Redis or Valkey server, to everybody who listens; nothing is kept"
    return [
        Provider(
            name="redis",
            summary=summary,
            options=BusOptions,
            build=_bus,
            guarantees=lambda _options: GUARANTEES,
            verify=_verify,
        ),
        Provider(
            name="redis-streams",
            summary="events between hosts in streams of a Redis or Valkey server: kept until each group has handled them",
            options=StreamOptions,
            build=_streams_bus,
            guarantees=_of_streams,
            verify=_verify_streams,
        ),
    ]


@hookimpl
def vyked_result_stores() -> Iterable[Provider[ResultStore]]:
    """The store of results at a Redis or Valkey server."""
    return [
        Provider(
            name="redis",
            summary="results at a Redis or Valkey server, shared by every instance that uses it",
            options=ResultOptions,
            build=_results,
            guarantees=lambda _options: Guarantees(durability="process"),
        )
    ]


def _results(options: ResultOptions, env: Environment) -> ResultStore:
    from .results import RedisResults

    return RedisResults(options, env)


def _registry(options: RegistryOptions, env: Environment) -> Registry:
    from .registry.registry import RedisRegistry

    return RedisRegistry(options, env)


async def _verify_registry(registry: Registry) -> Guarantees:
    from .registry.registry import RedisRegistry
    from .registry.verify import fit

    opened = cast(RedisRegistry, registry)
    await fit(opened.server, opened.env)
    return Guarantees()


def _bus(options: BusOptions, env: Environment) -> PubSub:
    from .bus import RedisBus

    return RedisBus(options, env)


async def _verify(bus: PubSub) -> Guarantees:
    from .bus import RedisBus

    await cast(RedisBus, bus).verify()
    return GUARANTEES


def _streams_bus(options: StreamOptions, env: Environment) -> PubSub:
    from .streams.bus import StreamsBus

    return StreamsBus(options, env)


def _of_streams(options: StreamOptions) -> Guarantees:
    return msgspec.structs.replace(
        STREAMS, ack_wait_s=options.ack_wait, dedupe_s=options.dedupe, durability=options.durability
    )


async def _verify_streams(bus: PubSub) -> Guarantees:
    from .streams.bus import StreamsBus
    from .streams.verify import durability

    streams = cast(StreamsBus, bus)
    return msgspec.structs.replace(
        _of_streams(streams.options),
        durability=await durability(streams.server, streams.env, streams.options.durability),
    )
