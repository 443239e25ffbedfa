"""What the servers have to give for events to be kept, looked at when a host starts."""

from __future__ import annotations

import asyncio

import msgspec

from vyked_host import CallError, StartError
from vyked_host.contracts import Guarantees

from ..connection import Watch
from ..options import LARGEST
from ..server import Servers, Unreachable, hang_up
from .api import Refused
from .bus import ENVELOPE_ROOM, TABLE, JetStreamBus
from .durability import doubts

REMEDY = "docs/nats.md says what it needs"


async def verified(bus: JetStreamBus, given: Guarantees) -> Guarantees:
    """What this bus gives at the servers it has. Raises StartError that says what to do."""
    largest, is_cluster = await _greeted(bus.servers, bus.env.timing.dial)
    bus.begin()
    try:
        async with asyncio.timeout(bus.env.timing.dial):
            await bus.store.make()
    except (Refused, CallError, TimeoutError) as error:
        why = str(error) or "no answer in time"
        raise StartError(
            f"the bus 'nats-jetstream' can't be used: {bus.servers.place} keeps no events: {why}; start it with JetStream "
            f"(nats-server -js), and give this user its rights; {REMEDY}"
        ) from None
    for name, config in bus.store.configs.items():
        for doubt in doubts(name, config, bus.options.replicas, is_cluster=is_cluster):
            bus.env.log.warning("%s", doubt)
    return msgspec.structs.replace(given, max_message_bytes=largest, dedupe_s=bus.store.window_s)


async def _greeted(servers: Servers, within: float) -> tuple[int, bool]:
    """Bytes that an event may have; is it a cluster?"""
    try:
        client = await servers.dial(within, Watch())
    except Unreachable as error:
        raise StartError(
            f"the bus 'nats-jetstream' can't be used: {error}; start the server, correct [{TABLE}] url, or choose another bus "
            'with [pubsub] use = "embedded"'
        ) from None
    try:
        return max(0, min(LARGEST, client.max_payload - ENVELOPE_ROOM)), bool(client.info.cluster)
    finally:
        await hang_up(client)
