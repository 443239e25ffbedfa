"""Events that go out: bounded, in order, the publishes of one turn of the loop in one pipeline."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from vyked_host import CallError, DeadlineExceeded, Overloaded, Unavailable
from vyked_host.contracts import Environment

from .server import FAULTS, connection, place

TAIL_BYTES = 256
"""What an event costs beside its payload."""
BATCH = 128


class Outgoing:
    """One event for one channel. `done` gets how many connections heard it."""

    __slots__ = ("begun", "channel", "cost", "done", "forget", "payload")

    def __init__(self, channel: str, payload: bytes) -> None:
        self.channel, self.payload, self.cost = channel, payload, len(payload) + len(channel) + TAIL_BYTES
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.begun = False
        self.forget: Callable[[], None] = _nothing

    def fail(self, error: CallError) -> None:
        """It is not published, or nobody knows."""
        if not self.done.done():
            self.done.set_exception(error)


class Outbox:
    """`publish` takes events; one task sends them."""

    def __init__(self, url: str, most: int, env: Environment) -> None:
        self._url, self._most, self._env = url, most, env
        self._waiting: deque[Outgoing] = deque()
        self._used = 0
        self._due, self._quiet, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._quiet.set()
        self._cancel: Callable[[], None] | None = None
        self._client: Any = None
        self._closed = False

    def publish(self, channel: str, payload: bytes, deadline: float) -> Awaitable[int]:
        """How many connections heard it. Raises Overloaded, Unavailable, DeadlineExceeded when it is awaited."""
        event = Outgoing(channel, payload)
        if self._closed:
            event.fail(Unavailable(f"{channel} is not published: the bus is closed", executed="not_sent"))
            return event.done
        if self._used + event.cost > self._most:
            text = f"{channel} is not published: {self._used} bytes of events wait for {place(self._url)}, outbox = {self._most}"
            event.fail(Overloaded(text, executed="not_sent", retry_after=0.1))
            return event.done
        self._used += event.cost
        event.done.add_done_callback(lambda _: self._ended(event))
        event.forget = self._env.clock.expire(deadline, lambda: self._expire(event))
        self._waiting.append(event)
        self._quiet.clear()
        self._due.set()
        if self._cancel is None:
            self._cancel = self._env.tasks(self._keep(), "old events, publishing")
        return event.done

    def _ended(self, event: Outgoing) -> None:
        event.forget()
        self._used -= event.cost
        if not self._used:
            self._quiet.set()

    def _expire(self, event: Outgoing) -> None:
        if event.begun:
            event.fail(
                DeadlineExceeded(f"{event.channel} may or may not be published: no answer in time", executed="unknown")
            )
        else:
            event.fail(
                Unavailable(f"{event.channel} is not published: {place(self._url)} is away", executed="not_sent")
            )

    async def _keep(self) -> None:
        try:
            await self._send_what_comes()
        finally:
            self._over.set()

    async def _send_what_comes(self) -> None:
        while True:
            await self._due.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
            if not self._waiting:
                self._due.clear()
            if batch:
                await self._send([each for each in batch if not each.done.done()])

    async def _send(self, batch: Sequence[Outgoing]) -> None:
        """One pipeline; events that were never written are tried again until their deadline."""
        while pending := [each for each in batch if not each.done.done()]:
            try:
                client = await self._connected()
            except FAULTS:
                await asyncio.sleep(0.2 * min(1.0, self._env.timing.scale))
                continue
            for each in pending:
                each.begun = True
            await self._written(client, pending)
            return

    async def _connected(self) -> Any:
        if self._client is None:
            client = connection(self._url, self._env)
            try:
                await client.ping()
            except BaseException:
                await client.aclose()
                raise
            self._client = client
        return self._client

    async def _written(self, client: Any, batch: Sequence[Outgoing]) -> None:
        try:
            async with asyncio.timeout(self._env.timing.ping), client.pipeline(transaction=False) as pipe:
                for each in batch:
                    pipe.publish(each.channel, each.payload)
                counts = await pipe.execute(raise_on_error=False)
        except FAULTS as error:
            self._client = None
            await client.aclose()
            for each in batch:
                each.fail(Unavailable(f"{each.channel} may or may not be published: {error}", executed="unknown"))
            return
        for each, count in zip(batch, counts, strict=True):
            if isinstance(count, Exception):
                each.fail(Unavailable(f"{each.channel} is not published: {count}", executed="not_executed"))
            elif not each.done.done():
                each.done.set_result(count)

    async def aclose(self, within: float) -> None:
        """Send what waits, for at most `within` seconds."""
        self._closed = True
        try:
            async with asyncio.timeout(within):
                await self._quiet.wait()
        except TimeoutError:
            for each in list(self._waiting):
                each.fail(Unavailable(f"{each.channel} is not published: the bus was closed", executed="not_sent"))
        if self._cancel is not None:
            self._cancel()
            await self._over.wait()
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()


def _nothing() -> None:
    """No deadline to forget."""
