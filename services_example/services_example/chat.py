"""A chat: one page, one WebSocket, and an event for each line, so that people at several hosts talk to one another."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from vyked_host import Closed, Response, Service, WebSocket, get, publish, subscribe, websocket

Name = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^\S(?:.*\S)?$")]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Say(Struct, frozen=True, forbid_unknown_fields=True):
    """What a page sends."""

    text: Annotated[str, Meta(min_length=1, max_length=500)]


class Posted(Struct, frozen=True, tag="posted"):
    """One line of the chat, as an event and as what pages get. `at` is in seconds since 1970."""

    id: str
    kind: Literal["said", "joined", "left"]
    author: str
    text: str
    at: float


class Welcome(Struct, frozen=True, tag="welcome"):
    """The first message to a page: what was said before it came."""

    history: list[Posted]


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """``[services.chat.options]``."""

    history: Annotated[int, Meta(ge=0, le=1000, description="lines that a new page gets to see")] = 50


class Chat(Service, name="chat", version="1.0.0"):
    """Everybody in one room. Lines are kept in memory, in each host those that it has heard of."""

    options: Options

    async def on_start(self) -> None:
        """Read the page, and start with an empty room."""
        folder = Path(__file__).with_name("chat_page")
        self.page = {name: (folder / name).read_bytes() for name in ("chat.html", "chat.css", "chat.js")}
        self.history: deque[Posted] = deque(maxlen=self.options.history)
        self.open: set[WebSocket[Say, Welcome | Posted]] = set()

    # ---- the page ----------------------------------------------------------------------------------------------------
    @get("/chat")
    async def show(self) -> Response:
        """The page."""
        return self._file("chat.html", "text/html")

    @get("/chat/chat.css")
    async def style(self) -> Response:
        """How it looks."""
        return self._file("chat.css", "text/css")

    @get("/chat/chat.js")
    async def script(self) -> Response:
        """What it does."""
        return self._file("chat.js", "text/javascript")

    def _file(self, name: str, content_type: str) -> Response:
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return Response(body=self.page[name], content_type=content_type, charset="utf-8", headers=headers)

    # ---- the socket --------------------------------------------------------------------------------------------------
    @websocket("/chat/socket")
    async def talk(self, ws: WebSocket[Say, Welcome | Posted], name: Name) -> None:
        """One person's place in the room: runs as long as the page is open. What is no `Say` ends it with code 1007."""
        history = list(self.history)
        self.open.add(ws)  # before the first await: nothing is missed between the two
        try:
            await ws.send(Welcome(history))
            await self.posted("joined", name)
            async for say in ws:
                await self.posted("said", name, say.text)
        finally:
            self.open.discard(ws)
            await self.posted("left", name)

    # ---- events --------------------------------------------------------------------------------------------------------
    @publish
    def posted(self, kind: Literal["said", "joined", "left"], author: str, text: str = "") -> Posted:
        """There is a new line."""
        return Posted(secrets.token_hex(8), kind, author, text, time.time())

    @subscribe(posted)
    async def show_everybody(self, event: Posted) -> None:
        """Every host hears of it and tells its own pages. One that is gone or reads too slowly is the host's to cut."""
        self.history.append(event)
        for outcome in await asyncio.gather(*(each.send(event) for each in self.open), return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, Closed):
                raise outcome
