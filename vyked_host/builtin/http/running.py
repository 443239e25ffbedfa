"""Calls that came over HTTP, from dispatch to the last byte of the answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from ...contracts import Call, Calls, Entered, Environment, Fault, Running
from . import headers
from .connection import CLIENT_GONE
from .exchange import Exchange
from .exposed import Exposed
from .framing import Framing
from .reading import Inlet
from .refusal import encode_error, failure
from .request import EdgeRequest

PATIENCE_S = 0.2
"""A stream without a first item for so long gets its headers; until then a failure still has a status of its own."""

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


class Incoming:
    """What a stream of the request is made of: its items and how they are decoded."""

    __slots__ = ("decode", "inlet")

    def __init__(self, inlet: Inlet, decode: Decode) -> None:
        self.inlet, self.decode = inlet, decode


class Runner:
    """Runs the calls of one listener."""

    def __init__(self, calls: Calls, env: Environment) -> None:
        self._dispatch, self._env, self._now = calls.dispatch, env, env.clock.now
        self._enter: Callable[[Call, Exchange], Entered | None] | None = getattr(calls, "enter", None)
        self._next_id = 0

    def call(self, request: EdgeRequest, exposed: Exposed, codec: str, body: Any) -> Call:
        """The call in `request`. Raises Refused for a header that makes no sense."""
        self._next_id += 1
        peer, now = request.peer or request.connection.peer, self._now()
        if not request.says_more:
            deadline = now + exposed.timeout_s
            return Call(
                self._next_id, exposed.index, codec, body, deadline, peer, None, 1, None, None, "", request
            )  # fmt: skip
        said = request.headers
        return Call(
            id=self._next_id,
            endpoint=exposed.index,
            codec=codec,
            body=body,
            deadline=now + headers.timeout_s(said, exposed.timeout_s),
            peer=peer,
            metadata=headers.metadata(said),
            attempt=headers.attempt(said),
            entity=headers.entity(said),
            idempotency_key=headers.idempotency_key(said),
            caller=headers.caller(said),
            request=request,
        )

    def start(self, call: Call, exchange: Exchange) -> Running | None:
        """Dispatch `call`; its outcome goes to `exchange`. None: it has one already."""
        return self._dispatch(call, exchange)

    async def unary(self, call: Call, incoming: Incoming | None = None, *, apart: bool = False) -> Exchange:
        """Run `call` to its end. The client's going cancels it. `apart`: in a task of its own, whatever can be spared."""
        exchange = Exchange()
        apart = apart or call.idempotency_key is not None  # its handler may outlive the request
        if incoming is None and self._enter is not None and not apart:
            entered = self._enter(call, exchange)
            if entered is None:
                return exchange
            connection = call.request.connection
            connection.runs = entered
            try:
                await entered.here()
            except asyncio.CancelledError:
                if not (exchange.ended and connection.is_open):
                    raise
            finally:
                connection.runs = None
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                await _go_on(task)
            return exchange
        running = self._dispatch(call, exchange)
        if running is None:
            return exchange
        stop = _nothing if incoming is None else self._feed(call, running, exchange, incoming)
        try:
            await exchange.outcome()
        finally:
            stop()
            if not exchange.ended:
                running.cancel(CLIENT_GONE)
        return exchange

    async def stream(
        self, request: web.Request, exposed: Exposed, call: Call, framing: Framing, encode: Encode,
        incoming: Incoming | None = None,
    ) -> web.StreamResponse:  # fmt: skip
        """Run `call` and write its items as they come; the client's reading pace is the handler's."""
        exchange = Exchange()
        running = self._dispatch(call, exchange)
        stop = self._feed(call, running, exchange, incoming)
        try:
            first = await _first(exchange)
            if not first and exchange.fault is not None:
                return failure(exchange.fault, raises=exposed.endpoint.raises)
            response = _streamed(framing)
            await response.prepare(request)
            fault = await self._write_items(response, exchange, running, first, framing, encode) or exchange.fault
            if fault is not None:
                await self._break_off(request, response, framing, fault)
            return response
        finally:
            stop()
            if running is not None and not exchange.ended:
                running.cancel(CLIENT_GONE)

    async def _write_items(
        self, response: web.StreamResponse, exchange: Exchange, running: Running | None, first: list[Any] | None,
        framing: Framing, encode: Encode,
    ) -> Fault | None:  # fmt: skip
        """Write until the stream ends; a Fault when an item can't be encoded."""
        items = await exchange.batch() if first is None else first
        while items:
            try:
                data = b"".join([framing.item(encode(item)) for item in items])
            except (TypeError, ValueError) as error:
                return self.unencodable(error)
            await response.write(data)
            exchange.written(len(items))
            if running is not None and not exchange.ended:
                running.credit(len(items))
            items = await exchange.batch()
        return None

    async def _break_off(
        self, request: web.Request, response: web.StreamResponse, framing: Framing, fault: Fault
    ) -> None:
        """The error is the last item, and the body is left without its end."""
        await response.write(framing.error(encode_error(fault)))
        request.protocol.force_close()

    def unencodable(self, error: Exception) -> Fault:
        """A result that its serializer can't take: logged here, an id goes out."""
        found = secrets.token_hex(4)
        self._env.log.error("a result can't be encoded [%s]", found, exc_info=error, extra={"id": found})
        text = f"the result can't be encoded; the host's log has the cause under {found}"
        return Fault(code="INTERNAL", message=text, executed="executed", details={"id": found})

    # ---- the request's stream --------------------------------------------------------------------------------------
    def _feed(
        self, call: Call, running: Running | None, exchange: Exchange, incoming: Incoming | None
    ) -> Callable[[], None]:
        """Start to hand over the items of the request; the answer stops it."""
        if incoming is None or running is None:
            return _nothing
        return self._env.tasks(_hand_over(running, exchange, incoming), f"http items of call {call.id}")


async def _go_on(task: asyncio.Task[Any]) -> None:
    """A cancellation of the call, by its deadline, by the drain or by the handler itself, is over with the call: its client is told."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)  # one that the handler never met comes here
    while task.cancelling():
        task.uncancel()


async def _hand_over(running: Running, exchange: Exchange, incoming: Incoming) -> None:
    count = 0
    try:
        while (item := await incoming.inlet.next()) is not None:
            count += 1
            if not await exchange.room():
                return
            running.item(incoming.decode(item))
        running.end()
    except ValueError as error:
        text = f"item {count} of the request: {error}"
        running.cancel(Fault(code="INVALID_ARGUMENT", message=text, executed="executed"))
    except (web.RequestPayloadError, ConnectionError):
        running.cancel(CLIENT_GONE)


async def _first(exchange: Exchange) -> list[Any] | None:
    """The first items, empty when the stream has ended without one; None: nothing yet, and it is time for the headers."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await exchange.batch()
    except TimeoutError:
        return None


def _streamed(framing: Framing) -> web.StreamResponse:
    return web.StreamResponse(
        headers={"Content-Type": framing.content_type, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


def as_response(result: Any) -> web.StreamResponse:
    """What a raw handler made. Raises it when it is one of aiohttp's exceptions, TypeError when it is no response."""
    if isinstance(result, web.HTTPException):
        raise result
    if not isinstance(result, web.StreamResponse):
        raise TypeError(f"a handler that takes the request has to return a Response, not {type(result).__name__}")
    return result


def _nothing() -> None:
    """There is no stream to stop."""
