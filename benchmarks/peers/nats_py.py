"""nats-py request and reply: a subscriber that answers, a client that asks, and a real nats-server between them.

What is counted as the server's is the subscriber's process; nats-server, written in Go, is a third one and in no figure of CPU.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import nats

from ..echo import Case, Codec
from ..load import Call, Measured, Plan, drive
from ..processes import LOOPBACK, environment, free_port, script
from . import own_server

SUBJECT, GROUP, WITHIN_S = "bench.echo", "echo", 30.0


def server(folder: Path, port: int, case: Case) -> list[str]:
    """The command of the subscriber, which starts nats-server."""
    return own_server("nats", port, case)


async def serve(port: int, case: Case) -> None:
    """Echo until killed. `port` opens once the subscription stands: whoever measures waits for it, and asks it for the place."""
    codec, broker = Codec(case), free_port()
    process = await asyncio.create_subprocess_exec(
        script("nats-server"), "-a", LOOPBACK, "-p", str(broker), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env=environment(),
    )  # fmt: skip
    try:
        link = await _connected(broker)

        async def echo(message: Any) -> None:
            value = codec.decode(message.data)
            if case.handler == "suspends":
                await asyncio.sleep(0)
            await message.respond(codec.encode(value))

        await link.subscribe(SUBJECT, queue=GROUP, cb=echo)
        await link.flush()
        async with await asyncio.start_server(lambda _, out: _told(out, broker), LOOPBACK, port) as door:
            stopped = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(15, stopped.set)
            await stopped.wait()
            door.close()
        await link.close()
    finally:
        process.terminate()
        await process.wait()
    sys.exit(0)


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: one NATS connection for each connection."""
    codec = Codec(plan.case)
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    broker = int(await reader.read())
    writer.close()
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(plan.case.connections):
            link = await _connected(broker)
            stack.push_async_callback(link.close)
            calls.append(_call(link, codec))
        return await drive(calls, plan)


def _call(link: Any, codec: Codec) -> Call:
    async def call(value: Any) -> Any:
        return codec.decode((await link.request(SUBJECT, codec.encode(value), timeout=WITHIN_S)).data)

    return call


async def _connected(broker: int) -> Any:
    return await nats.connect(f"nats://{LOOPBACK}:{broker}", max_reconnect_attempts=200, reconnect_time_wait=0.05)


def _told(out: asyncio.StreamWriter, broker: int) -> None:
    out.write(str(broker).encode())
    out.close()
