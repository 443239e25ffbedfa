"""Entry point of `pubsub.nats`: light, the client library is imported when a bus is built."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import msgspec

from vyked_host.contracts import Environment, Guarantees, Provider, PubSub, hookimpl

from .options import LARGEST, BusOptions

GUARANTEES = Guarantees(
    fan_out=True,
    at_least_once=False,  # core NATS keeps nothing: who is not connected misses the event
    durability="memory",  # the least there is
    ordered="publisher",  # one connection per publisher and one per subscriber, both in order
    strategies=frozenset(),
    max_message_bytes=LARGEST,
)


@hookimpl
def vyked_pubsub_backends() -> Iterable[Provider[PubSub]]:
    """The bus over NATS."""
    return [
        Provider(
            name="nats",
            summary="events between hosts over NATS servers, to everybody who listens; nothing is kept",
            options=BusOptions,
            build=_bus,
            guarantees=lambda _options: GUARANTEES,
            verify=_verify,
        )
    ]


def _bus(options: BusOptions, env: Environment) -> PubSub:
    from .bus import NatsBus

    return NatsBus(options, env)


async def _verify(bus: PubSub) -> Guarantees:
    from .bus import NatsBus

    largest = await cast(NatsBus, bus).verify()
    return msgspec.structs.replace(GUARANTEES, max_message_bytes=largest)
