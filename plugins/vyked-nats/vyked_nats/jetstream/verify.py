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
from .versions import too_old, warn

REMEDY = "docs/nats.md says what it needs"


async def verified(bus: JetStreamBus, given: Guarantees) -> Guarantees:
    """What this bus gives at the servers it has. Raises StartError that says what to do."""
    largest, is_cluster, version = await _greeted(bus.servers, bus.env.timing.dial)
    if old := too_old(version):
        raise StartError(f"the bus 'nats-jetstream' can't be used: {bus.servers.place}: {old}; {REMEDY}")
    warn(version, bus.servers.place, bus.env)
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


async def _greeted(servers: Servers, within: float) -> tuple[int, bool, str]:
    """Bytes that an event may have; is it a cluster? The version of the server."""
    try:
        client = await servers.dial(within, Watch())
    except Unreachable as error:
        raise StartError(
            f"the bus 'nats-jetstream' can't be used: {error}; {error.todo.format(table=TABLE)}, or choose another bus "
            'with [pubsub] use = "embedded"'
        ) from None
    try:
        room = max(0, min(LARGEST, client.max_payload - ENVELOPE_ROOM))
        return room, bool(client.info.cluster), client.info.version
    finally:
        await hang_up(client)
