"""Services with sockets of every kind, and hosts that serve them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiohttp
from msgspec import Meta, Struct

from vyked_host import Closed, HTTPService, Request, Service, WebSocket, api, context, get, websocket
from vyked_host.assembly import Host

HTTP = "[plugins]\nautoload = false\n[transports.http]\nport = 0\n"


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(max_length=40)]


class Said(Struct, frozen=True):
    user: str
    text: str
    n: int


class Rooms(Service, name="rooms", version="1.0.0"):
    """What tests look at stands in its attributes."""

    async def on_start(self) -> None:
        self.sockets: list[WebSocket[Any, Any]] = []
        self.seen: list[Any] = []
        self.entered, self.cancelled, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.gate = asyncio.Event()

    @websocket("/rooms/{room}", origins=["https://shop.example"])
    async def room(self, ws: WebSocket[Line, Said], room: str, times: int = 1) -> None:
        """Echo each line."""
        async for line in ws:
            for n in range(times):
                await ws.send(Said(room, line.text, n))

    @websocket("/text")
    async def text(self, ws: WebSocket[Annotated[str, Meta(max_length=5)], str]) -> None:
        async for text in ws:
            await ws.send(text.upper())

    @websocket("/binary")
    async def binary(self, ws: WebSocket[bytes, bytes]) -> None:
        async for data in ws:
            await ws.send(data[::-1])

    @websocket("/mixed")
    async def mixed(self, ws: WebSocket[Line | bytes, Said | bytes]) -> None:
        async for message in ws:
            await ws.send(message if isinstance(message, bytes) else Said("", message.text, 0))

    @websocket("/any")
    async def anything(self, ws: Any) -> None:
        async for message in ws:
            await ws.send({"got": message} if isinstance(message, str) else message)

    @websocket("/wrong")
    async def sends_what_it_may_not(self, ws: WebSocket[str, str]) -> None:
        await ws.send(b"bytes")  # type: ignore[arg-type]

    @websocket("/fails")
    async def fails(self, ws: WebSocket[str, str]) -> None:
        async for _ in ws:
            raise RuntimeError("a secret of the handler")

    @websocket("/closes")
    async def closes(self, ws: WebSocket[int, str]) -> None:
        async for code in ws:
            await ws.close(code, "as you said " + "ü" * 100)

    @websocket("/context")
    async def context(self, ws: WebSocket[str, Any]) -> None:
        here = context()
        await ws.send(
            {
                "endpoint": here.endpoint,
                "remaining": str(here.remaining),
                "agent": here.request.headers["User-Agent"],
                "same": here.request is ws.request,
                "caller": here.caller is not None,
                "trace": here.traceparent,
                "id": ws.id,
            }
        )

    @websocket("/records")
    async def records(self, ws: WebSocket[str, str]) -> None:
        self.sockets.append(ws)
        self.entered.set()
        async for text in ws:
            self.seen.append(text)
        self.seen.append(ws.close_code)
        self.ended.set()

    @websocket("/slow")
    async def slow(self, ws: WebSocket[str, str]) -> None:
        """Takes nothing until the gate opens."""
        self.entered.set()
        await self.gate.wait()
        async for text in ws:
            self.seen.append(text)
        self.ended.set()

    @websocket("/deaf")
    async def deaf(self, ws: WebSocket[str, str]) -> None:
        """Neither reads nor sends."""
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    @websocket("/floods")
    async def floods(self, ws: WebSocket[str, bytes | str]) -> None:
        """Sends as fast as it may."""
        self.sockets.append(ws)
        self.entered.set()
        try:
            while True:
                await ws.send("x" * 65536)
                self.seen.append(1)
        except Closed as closed:
            self.seen.append(closed.close_code)
            raise
        finally:
            self.ended.set()

    @websocket("/short", timeout=0.2)
    async def short(self, ws: WebSocket[str, str]) -> None:
        async for _ in ws:
            pass

    @websocket("/by-hand")
    async def by_hand(self, request: Request) -> Any:
        ws = aiohttp.web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(f"by hand: {message.data}")
        return ws

    @get("/page")
    async def page(self) -> str:
        return "a page"

    @api
    async def ping(self) -> str:
        return "pong"


class Old(HTTPService):
    """As the ancestor's users wrote them."""

    def __init__(self) -> None:
        super().__init__("old", "1")

    @websocket(path="/chat")
    async def chat(self, message):  # type: ignore[no-untyped-def]
        if message.data == "fail":
            raise ValueError("no")
        return f"{message.tp}: {message.data}" if message.data != "quiet" else None

    @websocket(path="/generator", timeout=1)
    def generator(self, message):  # type: ignore[no-untyped-def]
        yield from asyncio.sleep(0).__await__()
        return message.json()["text"]

    @websocket(path="/raw")
    async def raw(self, request):  # type: ignore[no-untyped-def]
        ws = aiohttp.web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str("raw")
        await ws.close()
        return ws


def base(host: Host) -> str:
    return next(each.uri for each in host.addresses if each.transport == "http")


def port(host: Host) -> int:
    return int(base(host).rpartition(":")[2])


@asynccontextmanager
async def served(*services: Any, config: str = "") -> AsyncIterator[tuple[Host, Any, aiohttp.ClientSession]]:
    """A host, the instance of its first service, and a session whose URLs begin at it."""
    services = services or (Rooms,)
    mesh = (f'host.mesh="rooms-{secrets.token_hex(4)}"',)
    async with Host(*services, text=HTTP + config, overrides=mesh) as host, aiohttp.ClientSession(base(host)) as http:
        found = host.instance(services[0]) if isinstance(services[0], type) else services[0]
        yield host, found, http
