"""The limit of this machine and interpreter: length-prefixed msgpack over one connection, decoded and encoded on both
sides, answers in order, one write for each chunk read. No calls that could be told apart, no tasks, futures, routing,
deadlines or errors: nothing that is an RPC system can reach it, the distance is the price of what it gives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import cast

from ..echo import Case, Codec
from ..load import WARM_UP_CALLS, Measured, Meter, Plan
from ..processes import LOOPBACK, apart, tune_collector
from . import own_server

_LENGTH = Struct("<I")


def server(folder: Path, port: int, case: Case) -> list[str]:
    """The command of the server."""
    return own_server("raw", port, case)


async def serve(port: int, case: Case) -> None:
    """Echo until killed."""
    loop, codec = asyncio.get_running_loop(), Codec(case)
    listener = await loop.create_server(lambda: Echo(codec), LOOPBACK, port)
    await listener.serve_forever()


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: keeps its messages under way by sending one for each that comes back."""
    loop, codec = asyncio.get_running_loop(), Codec(plan.case)
    made = [await loop.create_connection(lambda: Pump(codec), LOOPBACK, port) for _ in range(plan.case.connections)]
    clients = [client for _, client in made]
    figures = Measured()
    tune_collector()
    with apart(plan.server):
        await clients[0].one_by_one(min(WARM_UP_CALLS, plan.sequential))
        figures.latencies(await clients[0].one_by_one(plan.sequential))
    meter, share = Meter(plan), max(1, plan.in_flight // len(clients))
    counts = await asyncio.gather(*(each.in_flight(share, plan) for each in clients))
    meter.stop(sum(counts), figures)
    for client in clients:
        client.link.close()
    return figures


class Framed(asyncio.Protocol):
    """Hands on the complete frames of each chunk together."""

    link: asyncio.Transport

    def __init__(self, codec: Codec) -> None:
        self._rest = b""
        self._encode, self._decode, self._value = codec.encode, codec.decode, codec.payload.value

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """uvloop has set TCP_NODELAY already."""
        self.link = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Cut `data`, and what was left of the chunk before, into frames."""
        data = self._rest + data if self._rest else data
        at, end, frames = 0, len(data), []
        while end - at >= 4 and (stop := at + 4 + _LENGTH.unpack_from(data, at)[0]) <= end:
            frames.append(data[at + 4 : stop])
            at = stop
        self._rest = data[at:]
        if frames:
            self.frames(frames)

    def frames(self, bodies: list[bytes]) -> None:
        """Complete frames came."""
        raise NotImplementedError

    def write(self, bodies: list[bytes]) -> None:
        """All of `bodies` in one write."""
        parts: list[bytes] = []
        for body in bodies:
            parts += (_LENGTH.pack(len(body)), body)
        self.link.write(b"".join(parts))


class Echo(Framed):
    """The server."""

    def frames(self, bodies: list[bytes]) -> None:
        """Decode and encode each."""
        self.write([self._encode(self._decode(body)) for body in bodies])


class Pump(Framed):
    """The client. `_answered` takes the number of answers in a chunk and gives that of the messages to send next."""

    _answered: Callable[[int], int]

    def frames(self, bodies: list[bytes]) -> None:
        """Decode each answer; send as many as are wanted."""
        for body in bodies:
            self._decode(body)
        if more := self._answered(len(bodies)):
            self._send(more)

    def _send(self, messages: int) -> None:
        self.write([self._encode(self._value) for _ in range(messages)])

    async def one_by_one(self, calls: int) -> list[float]:
        """The seconds that each of `calls` round trips took."""
        taken: list[float] = []
        over = asyncio.get_running_loop().create_future()
        sent = time.perf_counter()

        def answered(_: int) -> int:
            nonlocal sent
            now = time.perf_counter()
            taken.append(now - sent)
            sent = now
            if len(taken) < calls:
                return 1
            over.set_result(None)
            return 0

        self._answered = answered
        self._send(1)
        await over
        return taken

    async def in_flight(self, messages: int, plan: Plan) -> int:
        """How many round trips were made in the plan's time, or its share of the plan's calls, with `messages` under way."""
        total, open_ = 0, messages
        over = asyncio.get_running_loop().create_future()
        stop_at = time.perf_counter() + plan.seconds
        most = plan.calls // plan.case.connections

        def answered(count: int) -> int:
            nonlocal total, open_
            total += count
            if total < most if most else time.perf_counter() < stop_at:
                return count
            open_ -= count
            if not open_:
                over.set_result(None)
            return 0

        self._answered = answered
        self._send(messages)
        await over
        return total
