"""FastStream beside ours (benchmarks.broker_peers): its own decorators, the row decoded by the same library (its msgspec serializer).

From JetStream the fastest of its ways that hand a handler one event after another: a push consumer of a queue, which is durable and shared,
as our groups are. Events per second, medians of 7 interleaved rounds of 6,400: queue 3,556, push that is not durable 3,741 (within what rounds
differ), pull_sub in batches of 1,000 3,102, of 256 2,485; with max_workers each is slower.
"""

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

    broker.subscriber(TOPIC, queue=GROUP, stream=JStream(TOPIC))(note)

    async with _started(broker, lambda: broker.publish(ROW, subject=TOPIC, stream=TOPIC)) as send:
        yield send


PEERS: dict[str, Peer] = {"redis": _redis, "redis-streams": _redis_streams, "nats": _nats, "nats-jetstream": _jetstream}
"""Bus -> FastStream on it."""
