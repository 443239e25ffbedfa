"""The buses that are compared, as processes: ``python -m benchmarks.event_peers NAME ROLE WHERE COUNT``.

Roles: ``hold`` (ours: the holder of the hub), ``watch`` (the same, and what its memory is made of for each line that it reads), ``subscribe`` (says "ready", then how long COUNT events took), ``publish`` (64
publishers that take turns). Each at the face its own library gives, events of 64 bytes, on uvloop. Ours awaits the bus's answer to
every event; nats-py core and Redis PUBLISH have none, so those publishers yield to the loop instead.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop

from vyked_host import Service, api
from vyked_host.assembly import Host
from vyked_host.contracts import Event, Subscription, Verdict

from . import allocator
from .processes import tune_collector

BODY = b"x" * 64
PUBLISHERS, WINDOW = 64, 32
ACK = Verdict(action="ack")
TEXT = """
[host]
mesh = "bench"
[plugins]
autoload = false
[transports.local]
[registry.embedded]
address = "{address}"
[pubsub.embedded]
address = "{address}"
queue = 200000
"""


class Counted:
    """Counts events; `over` is set once there were `count` of them, lost ones included."""

    def __init__(self, count: int) -> None:
        self.count, self.received, self.lost = count, 0, 0
        self.began = self.ended = 0.0
        self.over = asyncio.Event()

    def one(self, lost: int = 0) -> None:
        """One event, after so many lost ones."""
        if not self.received:
            self.began = time.perf_counter()
        self.received += 1
        self.lost += lost
        if self.received + self.lost >= self.count:
            self.ended = time.perf_counter()
            self.over.set()

    async def told(self) -> None:
        """Print it, once it is over; what does not come for five seconds was lost."""
        before = -1
        while not self.over.is_set() and before != self.received:
            before = self.received
            try:
                async with asyncio.timeout(5 if before else 60):
                    await self.over.wait()
            except TimeoutError:
                self.ended = time.perf_counter() - 5
        seconds = max(self.ended - self.began, 1e-9)
        print(
            json.dumps({"received": self.received, "lost": self.count - self.received, "seconds": seconds}), flush=True
        )


async def _publishers(count: int, publish: Callable[[int], Awaitable[Any]]) -> None:
    numbers = iter(range(count))

    async def one() -> None:
        while window := list(itertools.islice(numbers, WINDOW)):
            await publish(len(window))

    await asyncio.gather(*(one() for _ in range(PUBLISHERS)))


# ---- ours ------------------------------------------------------------------------------------------------------------
class Idle(Service, name="idle", version="1.0.0"):
    """So that the holder serves something."""

    @api
    async def nothing(self) -> None:
        return None


class Ours:
    """The embedded bus, its holder in a process of its own. `group`: to one of a group, with acks; else fan-out."""

    def __init__(self, where: str, group: str | None = None) -> None:
        address, _, self._path = where.partition("|")
        self._text, self._group = TEXT.format(address=address), group

    async def hold(self, _count: int) -> None:
        """Hold the hub until killed."""
        path = f'path = "{self._path}"\n' if self._path else ""
        async with Host(Idle, text=self._text + path):
            print("ready", flush=True)
            await asyncio.Event().wait()

    async def watch(self, _count: int) -> None:
        """Hold the hub, and look at this process's memory whenever it is asked to."""
        async with Host(Idle, text=self._text):
            print("ready", flush=True)
            asked = asyncio.StreamReader()
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
            while await asked.readline():
                print(msgspec.json.encode(allocator.look()).decode(), flush=True)

    async def subscribe(self, count: int) -> None:
        """Count."""
        async with Host(text=self._text) as host:
            counted = Counted(count)

            def took(delivery: Any) -> None:
                delivery.settle(ACK)
                counted.one(max(delivery.gap, 0))

            wanted = Subscription(
                service="bench", major=1, name="ticked", group=self._group, member="m", concurrency=4096
            )  # fmt: skip
            await host.node.pubsub.subscribe(wanted, took)
            print("ready", flush=True)
            await counted.told()

    async def publish(self, count: int) -> None:
        """Publish."""
        async with Host(text=self._text) as host:
            bus, now = host.node.pubsub, host.node.clock.now
            # an id that another run used goes out once in all: each run has ids of its own
            numbers = itertools.count(secrets.randbits(64) << 48)

            async def some(window: int) -> None:
                for accepted in [bus.publish(_event(next(numbers)), deadline=now() + 60) for _ in range(window)]:
                    await accepted

            await _publishers(count, some)


def _event(number: int) -> Event:
    return Event(
        id=f"{number:032x}", service="bench", version="1.0.0", name="ticked", source="bench", body=BODY,
        content_type="application/json",
    )  # fmt: skip


# ---- nats-py -----------------------------------------------------------------------------------------------------------
class Nats:
    """nats-py core, beside a real server."""

    def __init__(self, where: str) -> None:
        self._where = where

    async def subscribe(self, count: int) -> None:
        """Count."""
        import nats

        link, counted = await nats.connect(self._where), Counted(count)

        async def took(_message: Any) -> None:
            counted.one()

        await link.subscribe("bench.ticked", cb=took, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await link.flush()
        print("ready", flush=True)
        await counted.told()
        await link.close()

    async def publish(self, count: int) -> None:
        """Publish."""
        import nats

        link = await nats.connect(self._where)

        async def some(window: int) -> None:
            for _ in range(window):
                await link.publish("bench.ticked", BODY)
            await asyncio.sleep(0)

        await _publishers(count, some)
        await link.drain()


# ---- redis.asyncio -----------------------------------------------------------------------------------------------------
class Redis:
    """redis.asyncio PUBLISH, the publishes of a turn of the loop in one pipeline."""

    def __init__(self, where: str) -> None:
        self._where = where

    async def subscribe(self, count: int) -> None:
        """Count."""
        import redis.asyncio

        link, counted = redis.asyncio.Redis.from_url(self._where), Counted(count)
        async with link.pubsub() as listening:
            await listening.subscribe("bench.ticked")
            await listening.get_message(timeout=5)
            print("ready", flush=True)
            telling = asyncio.ensure_future(counted.told())
            while not telling.done():
                if await listening.get_message(ignore_subscribe_messages=True, timeout=1) is not None:
                    counted.one()
        await link.aclose()

    async def publish(self, count: int) -> None:
        """Publish."""
        import redis.asyncio

        link = redis.asyncio.Redis.from_url(self._where)

        async def some(window: int) -> None:
            async with link.pipeline(transaction=False) as pipe:
                for _ in range(window):
                    pipe.publish("bench.ticked", BODY)
                await pipe.execute()

        await _publishers(count, some)
        await link.aclose()


PEERS: dict[str, Callable[[str], Any]] = {
    "vyked": Ours,
    "vyked-acked": lambda where: Ours(where, group="bench@1"),
    "nats": Nats,
    "redis": Redis,
}


def main() -> None:
    """One role of one peer."""
    tune_collector()
    name, role, where, count = sys.argv[1:]
    peer = PEERS[name](where)
    uvloop.run(getattr(peer, role)(int(count)))


if __name__ == "__main__":
    main()
