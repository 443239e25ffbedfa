"""aiohttp at both ends: POST with a msgpack body on keep-alive connections, as many as there are calls in flight.

HTTP/1.1 carries one call at a time on a connection, so the number of connections is that of calls in flight, whatever is asked.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector, web

from ..echo import Case, Codec
from ..load import Measured, Plan, drive
from ..processes import LOOPBACK
from . import own_server


def server(folder: Path, port: int, case: Case) -> list[str]:
    """The command of the server."""
    return own_server("aiohttp", port, case)


async def serve(port: int, case: Case) -> None:
    """Echo until killed."""
    codec = Codec(case)

    async def echo(request: web.Request) -> web.Response:
        value = codec.decode(await request.read())
        if case.handler == "suspends":
            await asyncio.sleep(0)
        return web.Response(body=codec.encode(value))

    app = web.Application()
    app.router.add_post("/echo", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    await asyncio.Event().wait()


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: one session."""
    codec, url = Codec(plan.case), f"http://{LOOPBACK}:{port}/echo"
    async with ClientSession(connector=TCPConnector(limit=plan.in_flight)) as session:

        async def call(value: Any) -> Any:
            async with session.post(url, data=codec.encode(value)) as answer:
                return codec.decode(await answer.read())

        return await drive([call], plan)
