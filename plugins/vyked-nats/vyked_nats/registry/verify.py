"""What the servers have to give for a registry, looked at when a host starts."""

from __future__ import annotations

import asyncio

from vyked_host import CallError, StartError
from vyked_host.contracts import Away

from ..connection import Watch
from ..jetstream.api import NO_RESPONDERS, Refused
from ..jetstream.versions import too_old, warn
from ..server import Denied, Unreachable, hang_up
from .registry import TABLE, NatsRegistry

OTHER = 'choose another registry with [registry] use = "embedded"'
REMEDY = f"correct [{TABLE}] url, or {OTHER}"


async def fit(registry: NatsRegistry) -> None:
    """Raises StartError that says what to do; Away where no server can be reached, for then those that were known last do."""
    await _reached(registry)
    registry.begin()
    try:
        async with asyncio.timeout(registry.env.timing.dial):
            await registry.bucket.make()
    except Refused as error:
        lacks = "start it with JetStream (nats-server -js)" if error.number == NO_RESPONDERS else "see docs/nats.md"
        raise StartError(f"{_can_t(registry)} keeps no bucket: {error}; {lacks}, or {REMEDY}") from None
    except CallError as error:
        raise StartError(f"{_can_t(registry)} keeps no bucket: {error}; docs/nats.md lists the rights") from None
    except TimeoutError:
        raise Away(f"{_can_t(registry)} gave no answer about its bucket; {REMEDY}") from None


async def _reached(registry: NatsRegistry) -> None:
    try:
        client = await registry.servers.dial(registry.env.timing.dial, Watch())
    except Unreachable as error:
        kind = StartError if isinstance(error, Denied) else Away
        raise kind(
            f"the registry 'nats' can't be used: {error}; {error.todo.format(table=TABLE)}, or {OTHER}"
        ) from None
    version = client.info.version
    await hang_up(client)
    if old := too_old(version):
        raise StartError(f"{_can_t(registry)}: {old}, or {OTHER}")
    warn(version, registry.servers.place, registry.env)


def _can_t(registry: NatsRegistry) -> str:
    return f"the registry 'nats' can't be used: {registry.servers.place}"
