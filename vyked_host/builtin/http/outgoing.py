"""One call on its way to another node: a task of its own, cancelled by its caller, its deadline, or its channel."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import aiohttp

from ...contracts import INITIAL_CREDIT, Call, Code, Executed, Fault, Kind
from . import headers
from .answers import ERROR_START, AnswerTooLarge, error_item, fault_of, read
from .connector import NotConnected
from .framing import framing_for, splitter_for

if TYPE_CHECKING:
    from .channel import HttpChannel, Target

IN_ONE_PIECE = 256 << 10
LOST = (aiohttp.ClientError, OSError, TimeoutError)


class Outgoing:
    """`contracts.Running` of a call over HTTP. Its outcome reaches the sink exactly once."""

    def __init__(self, channel: HttpChannel, call: Call, sink: Any, target: Target) -> None:
        self.channel, self.call, self.sink, self.target = channel, call, sink, target
        self.sent = False
        self.ended = False
        self._stop: Callable[[], None] = _nothing
        self._no_alarm: Callable[[], None] = _nothing
        self._credit = INITIAL_CREDIT
        self._outbox: deque[Any] = deque()
        self._complete = False
        self._changed: asyncio.Event = asyncio.Event()

    def start(self) -> None:
        """Begin; the deadline runs from now."""
        env = self.channel.env
        self._no_alarm = env.clock.expire(self.call.deadline, self._late)
        self._stop = env.tasks(self._run(), f"http call {self.target.path}")

    # ---- contracts.Running -----------------------------------------------------------------------------------------
    def cancel(self, fault: Fault) -> None:
        """The caller gave up: the request is closed, which the other side sees."""
        self.fail(fault)
        self._stop()

    def item(self, body: Any) -> bool:
        """One item of the caller's stream; False: enough is waiting to be written."""
        self._outbox.append(body)
        self._changed.set()
        return len(self._outbox) < INITIAL_CREDIT

    def end(self) -> None:
        """The caller's stream is complete."""
        self._complete = True
        self._changed.set()

    def credit(self, items: int) -> None:
        """The caller takes more items of the answer."""
        self._credit += items
        self._changed.set()

    # ---- outcome ---------------------------------------------------------------------------------------------------
    def fail(self, fault: Fault) -> None:
        """The call failed, unless it has ended already."""
        if self._end():
            self.sink.fail(self.call, fault)

    def _respond(self, body: Any) -> None:
        if self._end():
            self.sink.respond(self.call, body)

    def _end(self) -> bool:
        if self.ended:
            return False
        self.ended = True
        self._no_alarm()
        self.channel.ended(self)
        return True

    def _late(self) -> None:
        text = f"{self.target.path}: no answer from {self.channel.node_id} before the deadline"
        self.cancel(Fault(code="DEADLINE_EXCEEDED", message=text, executed=self._executed))

    @property
    def _executed(self) -> Executed:
        return "unknown" if self.sent else "not_sent"

    def _lost(self, code: Code, error: BaseException) -> None:
        text = f"{self.target.path} at {self.channel.node_id}: {error or type(error).__name__}"
        self.fail(Fault(code=code, message=text, executed=self._executed))

    # ---- the task --------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        try:
            await self._exchange()
        except NotConnected as error:
            self._lost("UNAVAILABLE", error)
            self.channel.retire(f"{self.channel.node_id} can't be reached: {error}")
        except LOST as error:
            self._lost("UNAVAILABLE", error)
        except AnswerTooLarge as error:
            self._lost("TOO_LARGE", error)
        except ValueError as error:
            self._lost("INTERNAL" if self.sent else "INVALID_ARGUMENT", error)

    async def _exchange(self) -> None:
        target, channel = self.target, self.channel
        remaining = self.call.deadline - channel.env.clock.now()
        said = {**headers.of_call(self.call, remaining), **channel.said(target.kind)}
        streams = target.kind.streams_in
        said.update(channel.proof(target, said, None if streams else self.call.body))
        body = self._items() if streams else _payload(self.call.body)
        async with channel.connections(target.kind).post(
            target.url, data=body, headers=said, allow_redirects=False, trace_request_ctx=self
        ) as answer:
            channel.noticed(answer)
            if answer.status != 200:
                self.fail(await fault_of(answer))
            elif target.kind.streams_out:
                await self._read_items(answer)
            else:
                self._respond(await read(answer, channel.limit))

    async def _items(self) -> AsyncIterator[bytes]:
        """The body of a streaming request: the arguments, then the items as they are written and room is told."""
        framing = framing_for(self.channel.codec)
        yield framing.item(self.call.body)
        while True:
            while self._outbox:
                yield framing.item(self._outbox.popleft())
                if not self.ended:
                    self.sink.credit(self.call, 1)
            if self._complete:
                return
            await self._wait()

    async def _read_items(self, answer: aiohttp.ClientResponse) -> None:
        """Hand over the items as the caller takes them. One that looks like an error waits for what follows it."""
        splitter = splitter_for(self.channel.codec, self.channel.limit)
        held: bytes | None = None
        try:
            async for chunk in answer.content.iter_any():
                for item in splitter.feed(chunk):
                    if held is not None:
                        await self._give(held)
                    held = item if item.startswith(ERROR_START) else None
                    if held is None:
                        await self._give(item)
        except LOST:
            fault = error_item(held) if held is not None else None
            if fault is None:
                raise
            self.fail(fault)
            return
        for item in [each for each in (held, splitter.rest()) if each]:
            await self._give(item)
        self._respond(None)

    async def _give(self, item: bytes) -> None:
        while self._credit == 0:
            await self._wait()
        self._credit -= 1
        if not self.ended:
            self.sink.item(self.call, item)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class RawOutgoing(Outgoing):
    """A request to a route as the caller wrote it; the outcome is aiohttp's response, to be read by the caller."""

    async def _exchange(self) -> None:
        method, url, options = self.channel.raw_request(self.call, self.target)
        remaining = self.call.deadline - self.channel.env.clock.now()
        said = headers.of_call(self.call, remaining)
        options["headers"] = said | dict(options.get("headers") or {})
        answer = await self.channel.connections(Kind.HTTP).request(
            method, url, timeout=aiohttp.ClientTimeout(total=remaining), trace_request_ctx=self, **options
        )
        if self.ended:
            answer.close()
        self._respond(answer)


def _payload(body: bytes) -> Any:
    """aiohttp wants to read big bodies from a file object, piece by piece."""
    return body if len(body) <= IN_ONE_PIECE else io.BytesIO(body)


def _nothing() -> None:
    """Not started yet."""
