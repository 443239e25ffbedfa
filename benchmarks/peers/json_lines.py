"""The control of the old wire: JSON lines over one connection, the standard library's json on both sides, asyncio's own loop. A
request has an id and gets its answer, and nothing else of what an RPC system gives.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import msgspec

from ..echo import PAYLOADS, Case
from ..load import Call, Measured, Plan, drive
from ..processes import LOOPBACK
from . import own_server


def server(folder: Path, port: int, case: Case) -> list[str]:
    """The command of the server."""
    return own_server("lines", port, case)


async def serve(port: int, case: Case) -> None:
    """Echo until killed."""
    listener = await asyncio.get_running_loop().create_server(Echo, LOOPBACK, port)
    await listener.serve_forever()


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: one connection for each connection."""
    loop, payload = asyncio.get_running_loop(), PAYLOADS[plan.case.payload]
    async with AsyncExitStack() as stack:
        calls: list[Call] = []
        for _ in range(plan.case.connections):
            _, link = await loop.create_connection(Asking, LOOPBACK, port)
            stack.callback(link.link.close)
            calls.append(link.ask)
        return await drive(calls, plan, msgspec.to_builtins(payload.value))


class Lines(asyncio.Protocol):
    """Hands on each line as what it says."""

    link: asyncio.Transport

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self.link = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Cut into lines what came."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        answers = [self.said(json.loads(line)) for line in lines]
        found = b"".join(each for each in answers if each is not None)
        if found:
            self.link.write(found)

    def said(self, message: Any) -> bytes | None:
        """One message came; the answer, if there is one."""
        raise NotImplementedError


class Echo(Lines):
    """Says each message again."""

    def said(self, message: Any) -> bytes | None:
        """Again."""
        return json.dumps(message).encode() + b"\n"


class Asking(Lines):
    """Asks, and waits for the answer with the same id."""

    def __init__(self) -> None:
        super().__init__()
        self._ids, self._waiting = itertools.count(), dict[int, asyncio.Future[Any]]()

    async def ask(self, value: Any) -> Any:
        """The answer."""
        at = next(self._ids)
        answer = self._waiting[at] = asyncio.get_running_loop().create_future()
        self.link.write(json.dumps({"id": at, "payload": value}).encode() + b"\n")
        return await answer

    def said(self, message: Any) -> bytes | None:
        """An answer came."""
        self._waiting.pop(message["id"]).set_result(message["payload"])
        return None
