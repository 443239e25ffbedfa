"""What is compared over one server: each peer publishes rows of 95 bytes as JSON and hands them, decoded into their type, to a handler.
Of a bus that keeps events the handler's return is the ack.

`ours` is a service at the public face; `bare` the client library as its own pages show it, one command at a time; `faststream` the same with
FastStream's decorators.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from vyked_host import Host, Service, publish, subscribe, xsubscribe

Publish = Callable[[], Awaitable[Any]]
Handled = Callable[[], None]
Peer = Callable[[str, Handled], contextlib.AbstractAsyncContextManager[Publish]]
TOPIC, GROUP, CONSUMER = "bench", "g", "c"
BATCH, FETCH_S = 256, 1.0
"""Entries that a bare consumer takes at a time, and seconds that it waits for the first."""


class Row(msgspec.Struct, frozen=True):
    """The payload."""

    user_name: str
    n: int
    tags: tuple[str, ...]
    f: float


ROW = Row("alice.liddell@home.example.org", 123456, ("red", "green", "blue"), 1.5)
_decode, _encode = msgspec.json.Decoder(Row).decode, msgspec.json.Encoder().encode


# ---- ours ------------------------------------------------------------------------------------------------------------
class Source(Service, name="source", version="1.0.0"):
    """Who publishes."""

    @publish
    def ticked(self, row: Row) -> Row:
        """The row."""
        return row


class Sink(Service, name="sink", version="1.0.0"):
    """Who handles; `handled` is told of each."""

    handled: Handled


class Everybody(Sink, name="everybody", version="1.0.0"):
    """Every instance."""

    @subscribe(Source.ticked)
    async def note(self, _row: Row) -> None:
        """One more."""
        self.handled()


class OneOf(Sink, name="one-of", version="1.0.0"):
    """One instance, which acks."""

    @xsubscribe(Source.ticked, concurrency=BATCH)
    async def note(self, _row: Row) -> None:
        """One more."""
        self.handled()


TEXT = """
[host]
mesh = "bench"
[logging]
level = "error"
[transports.local]
[registry.embedded]
address = "none"
[pubsub]
use = "{bus}"
[pubsub.{bus}]
url = "{url}"
{more}
"""
QUEUE = "queue = 1000000"


def ours(bus: str, sink: type[Sink], more: str = "") -> Peer:
    """A host with both services on `bus`."""

    @contextlib.asynccontextmanager
    async def peer(url: str, handled: Handled) -> AsyncIterator[Publish]:
        async with Host(Source, sink, text=TEXT.format(bus=bus, url=url, more=more)) as host:
            host.instance(sink).handled = handled
            source = host.instance(Source)
            yield lambda: source.ticked(ROW)

    return peer


# ---- the client libraries by themselves --------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def _redis(url: str, handled: Handled) -> AsyncIterator[Publish]:
    from redis.asyncio import Redis

    async with Redis.from_url(url) as out, Redis.from_url(url) as into, into.pubsub() as channel:
        await channel.subscribe(TOPIC)

        async def listen() -> None:
            async for message in channel.listen():
                if message["type"] == "message":
                    _decode(message["data"])
                    handled()

        async with _beside(listen()):
            yield lambda: out.publish(TOPIC, _encode(ROW))


@contextlib.asynccontextmanager
async def _redis_streams(url: str, handled: Handled) -> AsyncIterator[Publish]:
    from redis.asyncio import Redis

    async with Redis.from_url(url) as out, Redis.from_url(url) as into:
        await into.xgroup_create(TOPIC, GROUP, id="0", mkstream=True)

        async def consume() -> None:
            while True:
                found: Any = await into.xreadgroup(
                    GROUP, CONSUMER, {TOPIC: ">"}, count=BATCH, block=int(FETCH_S * 1000)
                )
                for id, fields in found[0][1] if found else ():
                    _decode(fields[b"row"])
                    handled()
                    await into.xack(TOPIC, GROUP, id)

        async with _beside(consume()):
            yield lambda: out.xadd(TOPIC, {"row": _encode(ROW)})


@contextlib.asynccontextmanager
async def _nats(url: str, handled: Handled) -> AsyncIterator[Publish]:
    import nats

    out, into = await nats.connect(url), await nats.connect(url)

    async def took(message: Any) -> None:
        _decode(message.data)
        handled()

    await into.subscribe(TOPIC, cb=took, pending_msgs_limit=-1, pending_bytes_limit=-1)
    await into.flush()

    async def send() -> None:
        await out.publish(TOPIC, _encode(ROW))
        await asyncio.sleep(0)  # it never waits by itself, so nobody else would have a turn

    yield send
    await out.close()
    await into.close()


@contextlib.asynccontextmanager
async def _jetstream(url: str, handled: Handled) -> AsyncIterator[Publish]:
    import nats

    out, into = await nats.connect(url), await nats.connect(url)
    kept = out.jetstream()
    await kept.add_stream(name=TOPIC, subjects=[TOPIC])

    async def took(message: Any) -> None:
        _decode(message.data)
        handled()
        await message.ack()

    await into.jetstream().subscribe(TOPIC, cb=took, durable=GROUP, manual_ack=True)
    yield lambda: kept.publish(TOPIC, _encode(ROW), timeout=30)
    await out.close()
    await into.close()


@contextlib.asynccontextmanager
async def _beside(work: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        while not task.done():  # redis-py may take a cancellation for the end of its own waiting
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)


PEERS: dict[str, dict[str, Peer]] = {
    "redis": {"ours": ours("redis", Everybody, QUEUE), "bare": _redis},
    "redis-streams": {"ours": ours("redis-streams", OneOf), "bare": _redis_streams},
    "nats": {"ours": ours("nats", Everybody, QUEUE), "bare": _nats},
    "nats-jetstream": {"ours": ours("nats-jetstream", OneOf), "bare": _jetstream},
}
"""Bus -> who is compared on it."""
