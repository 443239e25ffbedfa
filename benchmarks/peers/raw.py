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

from ..echo import ROW, decode, encode
from ..load import WARM_UP_CALLS, Measured, Meter, Plan
from ..processes import LOOPBACK, apart
from . import own_server

_LENGTH = Struct("<I")


def server(folder: Path, port: int) -> list[str]:
    """The command of the server."""
    return own_server("raw", port)


async def serve(port: int) -> None:
    """Echo until killed."""
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Echo, LOOPBACK, port)
    await listener.serve_forever()


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: keeps its messages under way by sending one for each that comes back."""
    _, client = await asyncio.get_running_loop().create_connection(Pump, LOOPBACK, port)
    figures = Measured()
    with apart(plan.server):
        await client.one_by_one(WARM_UP_CALLS)
        figures.latencies(await client.one_by_one(plan.sequential))
    meter = Meter(plan)
    meter.stop(await client.in_flight(plan.in_flight, plan.seconds), figures)
    client.link.close()
    return figures


class Framed(asyncio.Protocol):
    """Hands on the complete frames of each chunk together."""

    link: asyncio.Transport

    def __init__(self) -> None:
        self._rest = b""

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
        self.write([encode(decode(body)) for body in bodies])


class Pump(Framed):
    """The client. `_answered` takes the number of answers in a chunk and gives that of the messages to send next."""

    _answered: Callable[[int], int]

    def frames(self, bodies: list[bytes]) -> None:
        """Decode each answer; send as many as are wanted."""
        for body in bodies:
            decode(body)
        if more := self._answered(len(bodies)):
            self._send(more)

    def _send(self, messages: int) -> None:
        self.write([encode(ROW) for _ in range(messages)])

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

    async def in_flight(self, messages: int, seconds: float) -> int:
        """How many round trips were made in `seconds` with `messages` under way."""
        total, open_ = 0, messages
        over = asyncio.get_running_loop().create_future()
        stop_at = time.perf_counter() + seconds

        def answered(count: int) -> int:
            nonlocal total, open_
            total += count
            if time.perf_counter() < stop_at:
                return count
            open_ -= count
            if not open_:
                over.set_result(None)
            return 0

        self._answered = answered
        self._send(messages)
        await over
        return total
