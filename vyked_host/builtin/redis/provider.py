"""Entry point of `pubsub.redis`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from ...contracts import Environment, Guarantees, Provider, PubSub, hookimpl
from .options import MIB, BusOptions

GUARANTEES = Guarantees(
    fan_out=True,
    at_least_once=False,  # PUBLISH is fire and forget: who is not connected misses the event
    durability="memory",  # the least there is; the server keeps nothing at all
    ordered="publisher",  # one connection per publisher and one per subscriber, both in order
    strategies=frozenset(),
    max_message_bytes=MIB,
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
        )
    ]


def _bus(options: BusOptions, env: Environment) -> PubSub:
    from .bus import RedisBus

    return RedisBus(options, env)


async def _verify(bus: PubSub) -> Guarantees:
    from .bus import RedisBus

    await cast(RedisBus, bus).verify()
    return GUARANTEES
