"""One accepted connection: aiohttp's protocol, with a census at its door, a pace to keep, and errors in our shape."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from ...contracts import Fault, Peer, Running
from .census import Census
from .pace import Pace
from .refusal import failure

CLIENT_GONE = Fault(code="CANCELLED", message="the client closed the connection", executed="unknown")


class Upgraded(Protocol):
    """What a connection carries once it is no HTTP any more."""

    def guard(self, parser: Any) -> Any:
        """What bytes are fed to, in front of `parser`, aiohttp's."""
        ...

    def writable(self, now: bool) -> None:
        """The peer reads too slowly for more (False), or there is room again."""

    def lost(self) -> None:
        """The connection is gone."""

    def too_slow(self, now: float, *, reading: bool, unsent: int) -> str | None:
        """Why this connection has to go; None: it may stay."""
        ...


class Connection(web.RequestHandler):
    """Cuts who is too slow; answers what is no HTTP with a JSON error and closes."""

    __slots__ = ("_admitted", "_census", "_link", "_pace", "_request", "_upgraded_to", "_watch_body", "peer", "runs")

    def __init__(self, manager: web.Server, census: Census, **limits: Any) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            manager, loop=loop, keepalive_timeout=census.allowed.keep_alive, logger=census.log,
            lingering_time=min(1.0, census.allowed.body), **limits,
        )  # fmt: skip
        self._census = census
        self._pace = Pace(census.allowed, census.clock.now())
        self._admitted = False
        self._link: asyncio.Transport | None = None
        self._request: web.BaseRequest | None = None
        self._upgraded_to: Upgraded | None = None
        self._watch_body = True
        self.peer = Peer(address="")
        self.runs: Running | None = None  # the call that runs in the task of its request

    # ---- asyncio.Protocol ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted, unless there are too many."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        link: Any = transport
        name = link.get_extra_info("peername")
        host = str(name[0]) if isinstance(name, tuple) else ""
        self._admitted = self._census.admit(self, host)
        if not self._admitted:
            link.abort()
            return
        self._link = link
        self.peer = self._census.trust.peer(link, f"{host}:{name[1]}" if host else "unix")
        Context().run(
            super().connection_made, link
        )  # handlers that run in its tasks inherit nothing from whoever listens

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self._admitted:
            if data:
                self._pace.heard(self._census.clock.now())
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The request that runs, if any, is cancelled."""
        self._link = None
        if self.runs is not None:
            self.runs.cancel(CLIENT_GONE)
        if self._admitted:
            self._census.left(self)
            super().connection_lost(exc)
        if self._upgraded_to is not None:
            self._upgraded_to.lost()
            self._upgraded_to = None

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        super().pause_writing()
        if self._upgraded_to is not None:
            self._upgraded_to.writable(False)

    def resume_writing(self) -> None:
        """There is room again."""
        super().resume_writing()
        if self._upgraded_to is not None:
            self._upgraded_to.writable(True)

    def set_parser(self, parser: Any, data_received_cb: Callable[[], None] | None = None) -> None:
        """aiohttp begins to read the upgraded connection: through what guards it."""
        guarded = parser if self._upgraded_to is None else self._upgraded_to.guard(parser)
        super().set_parser(guarded, data_received_cb)

    # ---- what the edge tells ---------------------------------------------------------------------------------------
    def began(self, request: web.BaseRequest) -> None:
        """The headers of `request` are complete."""
        self._request, self._watch_body = request, True
        self._pace.began(self._census.clock.now())

    def ended(self) -> None:
        """The request was handled."""
        self._request = None
        self._pace.ended()

    def expect_stream(self) -> None:
        """The body is a stream of items: it may take as long as the call."""
        self._watch_body = False

    def upgrade(self, upgraded: Upgraded) -> None:
        """The request that runs turns the connection into something else."""
        self._upgraded_to, self._watch_body = upgraded, False

    def send(self, data: bytes) -> None:
        """Write an answer. Raises ConnectionError when the peer is gone."""
        link = self._link
        if link is None or link.is_closing():
            raise ConnectionResetError("the client closed the connection")
        link.write(data)

    def write(self, data: bytes) -> None:
        """Write a frame of the protocol it was upgraded to, unless the peer is gone."""
        if self._link is not None and not self._link.is_closing():
            self._link.write(data)

    # ---- what the census asks --------------------------------------------------------------------------------------
    @property
    def is_open(self) -> bool:
        """Can an answer be sent?"""
        return self._link is not None and not self._link.is_closing()

    @property
    def is_idle(self) -> bool:
        """No request, no part of one, nothing unsent."""
        return self._pace.idle and self.unsent == 0

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken."""
        return 0 if self._link is None else self._link.get_write_buffer_size()

    def too_slow(self, now: float) -> str | None:
        """Why this connection has to go, or None."""
        if self._upgraded_to is not None:
            reading = self._link is not None and self._link.is_reading()
            return self._upgraded_to.too_slow(now, reading=reading, unsent=self.unsent)
        body = None
        request = self._request
        if request is not None and self._watch_body and not request.content.is_eof():
            body = request.content.total_bytes
        reading = self._link is not None and self._link.is_reading()
        return self._pace.too_slow(now, body=body, reading=reading, unsent=self.unsent)

    def abort(self) -> None:
        """Cut the connection now."""
        if self._link is not None:
            self._link.abort()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What came is no request, or answering it failed: our error body, and the connection ends."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had already begun")
        if status >= 500:
            self.log_exception("a request failed at the HTTP edge", exc_info=exc)
            fault = Fault(
                code="INTERNAL", message="the HTTP edge failed; the host's log has the cause", executed="unknown"
            )
            answer = failure(fault)
        elif isinstance(exc, LineTooLong):
            text = "the request line or a header is over [limits] uri_bytes"
            answer = failure(Fault(code="TOO_LARGE", message=text, executed="not_executed"), status=431)
        else:
            text = (message or "this is no HTTP request").splitlines()[0][:200].rstrip(":")
            fault = Fault(code="INVALID_ARGUMENT", message=text, executed="not_executed")
            answer = failure(fault, status=status)
        answer.force_close()
        return answer


def factory(server: web.Server, census: Census, **limits: Any) -> functools.partial[Connection]:
    """Makes the protocol of each accepted connection."""
    return functools.partial(Connection, server, census, access_log=None, **limits)
