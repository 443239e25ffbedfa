"""FastStream beside ours (benchmarks.broker_peers): its own decorators, the row decoded by the same library (its msgspec serializer)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from .broker_peers import CONSUMER, GROUP, ROW, TOPIC, Handled, Peer, Publish, Row


def _broker(kind: Any, url: str) -> Any:
    from fast_depends.msgspec import MsgSpecSerializer

    return kind(url, logger=None, serializer=MsgSpecSerializer())


@contextlib.asynccontextmanager
async def _started(broker: Any, send: Publish) -> AsyncIterator[Publish]:
    await broker.start()
    try:
        yield send
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def _redis(url: str, handled: Handled) -> AsyncIterator[Publish]:
    from faststream.redis import RedisBroker

    broker = _broker(RedisBroker, url)

    async def note(row: Row) -> None:
        handled()

    broker.subscriber(TOPIC)(note)

    async with _started(broker, lambda: broker.publish(ROW, channel=TOPIC)) as send:
        yield send


@contextlib.asynccontextmanager
async def _redis_streams(url: str, handled: Handled) -> AsyncIterator[Publish]:
    from faststream.redis import RedisBroker, StreamSub

    broker = _broker(RedisBroker, url)

    async def note(row: Row) -> None:
        handled()

    broker.subscriber(stream=StreamSub(TOPIC, group=GROUP, consumer=CONSUMER))(note)

    async with _started(broker, lambda: broker.publish(ROW, stream=TOPIC)) as send:
        yield send


@contextlib.asynccontextmanager
async def _nats(url: str, handled: Handled) -> AsyncIterator[Publish]:
    from faststream.nats import NatsBroker

    broker = _broker(NatsBroker, url)

    async def note(row: Row) -> None:
        handled()

    broker.subscriber(TOPIC)(note)

    async with _started(broker, lambda: broker.publish(ROW, subject=TOPIC)) as send:
        yield send


@contextlib.asynccontextmanager
async def _jetstream(url: str, handled: Handled) -> AsyncIterator[Publish]:
    from faststream.nats import JStream, NatsBroker

    broker = _broker(NatsBroker, url)

    async def note(row: Row) -> None:
        handled()

    broker.subscriber(TOPIC, stream=JStream(TOPIC), durable=GROUP)(note)

    async with _started(broker, lambda: broker.publish(ROW, subject=TOPIC, stream=TOPIC)) as send:
        yield send


PEERS: dict[str, Peer] = {"redis": _redis, "redis-streams": _redis_streams, "nats": _nats, "nats-jetstream": _jetstream}
"""Bus -> FastStream on it."""
