"""A running call with a stream in one or both directions, on the side of the handler."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any, cast

import msgspec

from ..contracts import CreditSink
from ..model.message import INITIAL_CREDIT, Fault
from ..service.context import Context, enter_context
from .invocation import Invocation
from .lag import BLOCKED_S
from .outcomes import invalid_fault

STREAMING: ContextVar[Streaming] = ContextVar("vyked_stream")
_GRANT = INITIAL_CREDIT // 2


async def serve_stream(arguments: Any) -> Any:
    """The innermost step under the middlewares of an endpoint with a stream."""
    return await STREAMING.get().serve(arguments)


class Streaming(Invocation, eq=False):
    """A call with a stream in one or both directions."""

    _queue: deque[Any] = msgspec.field(default_factory=deque)
    _ready: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    _granted: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    _closed: bool = False
    _taken: int = 0

    def item(self, body: Any) -> bool:
        """One item of the caller's stream; False when it has to wait for credit."""
        if self.ended:
            return True
        if self._closed or len(self._queue) >= 2 * INITIAL_CREDIT:
            text = f"{self.route.endpoint.path}: an item after the end" if self._closed else "items beyond the credit"
            self.cancel(Fault(code="INVALID_ARGUMENT", message=text, executed="executed"))
            return False
        try:
            self._queue.append(self.codecs.decode_item(body))
        except ValueError as error:
            fault = invalid_fault(self.route.endpoint, error)
            self.cancel(msgspec.structs.replace(fault, executed="executed"))  # the handler runs since the first item
            return False
        self._ready.set()
        return len(self._queue) < INITIAL_CREDIT

    def end(self) -> None:
        """The caller's stream is complete."""
        self._closed = True
        self._ready.set()

    def credit(self, items: int) -> None:
        """The caller can take more."""
        self._granted.set()

    async def inbound(self) -> AsyncIterator[Any]:
        """The caller's items as the handler sees them; taking them grants new credit."""
        while True:
            while self._queue:
                yield self._queue.popleft()
                self._grant()
            if self._closed:
                return
            self._ready.clear()
            await self._ready.wait()

    def _grant(self) -> None:
        self._taken += 1
        # where nothing waits any more the sender may be waiting: large items use up their credit before so many have come
        if self._taken >= _GRANT or not self._queue:
            cast(CreditSink, self.sink).credit(self.call, self._taken)
            self._taken = 0

    async def run(self) -> None:
        """The body of the task."""
        begins = self.dispatcher.now()
        if (begins >= self.call.deadline or begins - self.began >= BLOCKED_S) and self.comes_too_late(begins):
            return
        enter_context(Context(self.call, self.route.endpoint, self.dispatcher.now))
        kind = self.route.endpoint.kind
        STREAMING.set(self)
        try:
            self.arguments = self.codecs.decode(self.call.body)
            result = await self.route.proceed(self.arguments)
            body = None if kind.streams_out else self.codecs.encode(self.route.checked(result))
        except BaseException as error:
            if self.ended_by(error):
                raise
        else:
            self.answered(body)

    async def serve(self, arguments: Any) -> Any:
        """The handler from its start to the end of its stream: what middlewares wrap."""
        kind = self.route.endpoint.kind
        given = (arguments, self.inbound()) if kind.streams_in else (arguments,)
        if not kind.streams_out:
            return await self.route.handler(*given)
        return await self._pump(self.route.handler(*given))

    async def _pump(self, items: Any) -> None:
        try:
            async for item in items:
                self._granted.clear()
                if not self.sink.item(self.call, self.codecs.encode(item)):
                    await self._granted.wait()
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
