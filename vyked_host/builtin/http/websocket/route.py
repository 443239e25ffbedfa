"""A route that opens sockets: who may, with which arguments, and the handler from the upgrade to its end."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from aiohttp import web

from ....contracts import Call, HttpBinding, Running
from ....service.websockets import WebSocket
from ..binding import Binder, check_required
from ..connection import CLIENT_GONE
from ..cors import NOBODY
from ..exchange import Exchange
from ..exposed import Exposed
from ..negotiation import DEFAULT
from ..refusal import Refused, failure
from ..request import EdgeRequest
from ..running import Runner, as_response
from . import reasons
from .census import Sockets
from .messages import Messages
from .session import Session

VERSIONS = ("13", "8", "7")
"""Those that aiohttp speaks; browsers say 13."""


class Opening:
    """`service.websockets.Opening`: the body of the call."""

    def __init__(self, request: EdgeRequest, arguments: Any, exchange: Exchange, session: Session) -> None:
        self.request, self.arguments = request, arguments
        self._exchange, self._session = exchange, session
        self.session: Session | None = None
        """The socket, once it is open."""

    async def accept(self) -> WebSocket[Any, Any]:
        """Open the socket. Raises Closed."""
        await self._session.open()
        self.session = self._session
        self._exchange.nudge()
        return self._session

    def ended(self) -> dict[str, Any]:
        """For logs."""
        found = self.session
        if found is None:
            return {}
        return {"close_code": found.close_code, "received": found.received, "sent": found.sent, "socket": found.id}


class SocketRoute:
    """A GET route whose connection becomes a socket."""

    origins = NOBODY  # those of a socket are checked, not told

    def __init__(self, exposed: Exposed, binding: HttpBinding, runner: Runner, sockets: Sockets) -> None:
        self.exposed, self.binding, self._runner, self._sockets = exposed, binding, runner, sockets
        self._binder = Binder(exposed.endpoint, binding, lambda _shape: {})
        endpoint = exposed.endpoint
        self._messages = Messages(endpoint.inbound, endpoint.result, sockets.codec, sockets.message)

    async def answer(self, request: EdgeRequest) -> web.StreamResponse:
        """The refusal, or the socket after its end. Raises Refused."""
        self._sockets.check_origin(request, self.binding.origins)
        check_upgrade(request)
        arguments = self._arguments(request)
        exchange = Exchange()
        opening = Opening(request, arguments, exchange, Session(request, self._messages, self._sockets))
        call = endless(self._runner.call(request, self.exposed, "raw", opening))
        running = self._runner.start(call, exchange)
        try:
            return await self._conversation(opening, exchange)
        except asyncio.CancelledError:  # the connection is gone: whoever closed it, this is how aiohttp tells
            if running is not None and not exchange.ended:
                self._sockets.env.tasks(self._last_words(opening, exchange, running), "the end of a websocket")
            raise

    def _arguments(self, request: EdgeRequest) -> Any:
        """A method that has no parameter but the socket may read the query in `ws.request`: then it is not checked."""
        if self.exposed.endpoint.arguments is None:
            check_required(request, self.binding.required_params)
            return None
        return self._binder.bind(request, b"", DEFAULT)

    async def _conversation(self, opening: Opening, exchange: Exchange) -> web.StreamResponse:
        await exchange.until(lambda: opening.session is not None)
        session = opening.session
        if session is None:
            return self._unopened(exchange)
        self._sockets.env.tasks(session.pump(), f"websocket {session.id}")
        await exchange.outcome()
        await session.close(*reasons.of_outcome(exchange.fault))
        return session.response

    def _unopened(self, exchange: Exchange) -> web.StreamResponse:
        """What a middleware said instead, or the runtime."""
        if exchange.fault is not None:
            return failure(exchange.fault, raises=self.exposed.endpoint.raises)
        return as_response(exchange.body)

    async def _last_words(self, opening: Opening, exchange: Exchange, running: Running) -> None:
        """The handler sees the end of its socket and may clean up; it is cancelled when it takes too long. In a drain it has
        the drain's time, after which the runtime cancels it."""
        session = opening.session
        if session is not None:
            if session.close_code == reasons.GOING_AWAY and self._sockets.is_leaving:
                return
            try:
                async with asyncio.timeout(self._sockets.grace_s):
                    await exchange.outcome()
            except TimeoutError:
                pass
        running.cancel(CLIENT_GONE)


def endless(call: Call) -> Call:
    """`call` without a deadline: a socket lives as long as its two ends want."""
    call.deadline = math.inf
    return call


def check_upgrade(request: web.BaseRequest) -> None:
    """Is this a handshake (RFC 6455, 4.2.1)? Raises Refused: 426 saying what would be one, or 400."""
    said = request.headers
    if said.get("Upgrade", "").strip().lower() != "websocket":
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        raise Refused("INVALID_ARGUMENT", "this path is a WebSocket: connect to it as one", status=426, headers=headers)
    if said.get("Sec-WebSocket-Version", "") not in VERSIONS:
        headers = {"Sec-WebSocket-Version": VERSIONS[0]}
        raise Refused("INVALID_ARGUMENT", "WebSocket version 13 is spoken here", status=426, headers=headers)
    asked = said.get("Sec-WebSocket-Protocol", "").split(",")
    trial = web.WebSocketResponse(protocols=[each.strip() for each in asked])  # it would log those that it has not
    if not trial.can_prepare(request):
        raise Refused("INVALID_ARGUMENT", "this is no WebSocket handshake: Connection or Sec-WebSocket-Key is wrong")
