"""Events over NATS beside bare nats-py, on the same server with the same payload: 64 publishers at once, publish to handler, all in one
process, so that a figure is what one core does for both ends. Each publisher waits for each of its events: of core NATS until the
server has it (ours; nats-py has no such thing, so it flushes every so often), of JetStream until it is kept; the consumer acks each.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from . import report
from .processes import LOOPBACK, environment, free_port, running, script

BODY = msgspec.json.encode({"number": 12345, "name": "a name of some length", "tags": ["one", "two", "three"]})
PUBLISHERS = 64
UNFLUSHED = 64
"""Events of one bare publisher between two flushes."""
FLOORS = {"nats": 0.5, "nats-jetstream": 0.8}
"""Of bare nats-py, at least (issue: Redis and NATS under load-bearing guarantees, speed)."""
BARE = {"nats": "bare-core", "nats-jetstream": "bare-jetstream"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    rounds: int = 3
    events: int = 50_000


class Speed(msgspec.Struct, kw_only=True):
    """What the handler got."""

    per_second: float


class Counted:
    """Counts what is handled."""

    def __init__(self, count: int) -> None:
        self._left, self.done = count, asyncio.Event()

    def one(self) -> None:
        """One more."""
        self._left -= 1
        if self._left == 0:
            self.done.set()


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    rounds: dict[str, list[Speed]] = {name: [] for pair in BARE.items() for name in pair}
    for _ in range(settings.rounds):
        for name, found in rounds.items():
            found.append(asyncio.run(measure(name, settings.events)))
    answer = report.Report("over_nats", msgspec.to_builtins(settings), msgspec.to_builtins(rounds))
    middle = {name: report.median(found).per_second for name, found in rounds.items()}
    rows = [
        [name, f"{middle[name]:,.0f}", f"{middle[bare]:,.0f}", f"{middle[name] / middle[bare]:.2f}", f"{FLOORS[name]}"]
        for name, bare in BARE.items()
    ]
    print(answer.heading())
    print(report.table(("bus", "events/s", "nats-py", "vyked is", "floor"), rows))
    return answer


async def measure(name: str, count: int) -> Speed:
    """One run of one of them on a server of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        argv = [script("nats-server"), "-a", LOOPBACK, "-p", str(port), "-js", "-sd", folder]
        with running(argv, cwd=Path(folder), env=environment()) as process:
            process.wait_for_port(port)
            counted = Counted(PUBLISHERS * (count // PUBLISHERS))
            async with KINDS[name](f"nats://{LOOPBACK}:{port}", counted) as publish:
                loop = asyncio.get_running_loop()
                began = loop.time()
                await asyncio.gather(*(_some(publish, count // PUBLISHERS) for _ in range(PUBLISHERS)))
                await counted.done.wait()
                return Speed(per_second=count / (loop.time() - began))


async def _some(publish: Callable[[int], Awaitable[Any]], count: int) -> None:
    for at in range(count):
        await publish(at)


# ---- bare ----------------------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def _core(where: str, counted: Counted) -> AsyncIterator[Callable[[int], Awaitable[Any]]]:
    import nats

    out, into = await nats.connect(where), await nats.connect(where)

    async def took(_message: Any) -> None:
        counted.one()

    await into.subscribe("bench", cb=took)
    await into.flush()

    async def publish(at: int) -> None:
        await out.publish("bench", BODY)
        if at % UNFLUSHED == UNFLUSHED - 1:
            await out.flush()

    yield publish
    await out.close()
    await into.close()


@contextlib.asynccontextmanager
async def _jetstream(where: str, counted: Counted) -> AsyncIterator[Callable[[int], Awaitable[Any]]]:
    import nats

    out, into = await nats.connect(where), await nats.connect(where)
    kept = out.jetstream()
    await kept.add_stream(name="bench", subjects=["bench"])

    async def took(message: Any) -> None:
        await message.ack()
        counted.one()

    await into.jetstream().subscribe("bench", cb=took, durable="bench", manual_ack=True)

    async def publish(_at: int) -> None:
        await kept.publish("bench", BODY, timeout=30)

    yield publish
    await out.close()
    await into.close()


# ---- ours ----------------------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def _ours(name: str, where: str, counted: Counted) -> AsyncIterator[Callable[[int], Awaitable[Any]]]:
    from vyked_nats.plugin import vyked_pubsub_backends

    from vyked_host.contracts import Delivery, Event, Subscription, Verdict
    from vyked_host.testing import environment as surroundings

    provider = next(each for each in vyked_pubsub_backends() if each.name == name)
    ack, group = Verdict(action="ack"), "g" if name == "nats-jetstream" else None

    def took(delivery: Delivery) -> None:
        delivery.settle(ack)
        counted.one()

    async with surroundings() as env:
        options = msgspec.structs.replace(provider.options(), url=where, queue=1 << 20)
        out, into = provider.build(options, env), provider.build(options, env)
        wanted = Subscription(service="b", major=1, name="ticked", group=group, member="m", concurrency=256)
        await into.subscribe(wanted, took)
        numbers = iter(range(1 << 40))

        async def publish(_at: int) -> None:
            event = Event(
                id=f"{next(numbers)}", service="b", version="1.0.0", name="ticked", source="bench", body=BODY,
                content_type="application/json",
            )  # fmt: skip
            await out.publish(event, deadline=env.clock.now() + 30)

        yield publish
        await out.aclose()
        await into.aclose()


Kind = Callable[[str, Counted], contextlib.AbstractAsyncContextManager[Callable[[int], Awaitable[Any]]]]
KINDS: dict[str, Kind] = {
    "bare-core": _core,
    "bare-jetstream": _jetstream,
    "nats": lambda where, counted: _ours("nats", where, counted),
    "nats-jetstream": lambda where, counted: _ours("nats-jetstream", where, counted),
}
