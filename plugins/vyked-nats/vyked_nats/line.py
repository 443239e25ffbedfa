"""One connection at work: what is to be sent goes out in order, and an echo says how far the server has come.

A server works off what one client sends in order, so a message to ourselves that comes back proves that it has taken all that
went before. (nats-py's flush() writes its PING ahead of what waits in its buffer, so it proves nothing.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

Step = Callable[[Client], Awaitable[Any]]


class Line:
    """`send` and `echo` are in order; `lost` ends what waits."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._steps: deque[Step] = deque()
        self._due = asyncio.Event()
        self._inbox = client.new_inbox()
        self._echoes: dict[str, Callable[[str | None], None]] = {}
        self._number = 0
        self._is_over = False

    async def begin(self) -> None:
        """Listen for our own echoes."""
        await self.client.subscribe(f"{self._inbox}.*", cb=self._returned)

    def send(self, step: Step) -> None:
        """Do `step` with the client, after all that was asked for before."""
        self._steps.append(step)
        self._due.set()

    def echo(self, came: Callable[[str | None], None]) -> None:
        """`came` is called once: with None when the server has taken all that was sent before, else with the cause."""
        self._number += 1
        subject = f"{self._inbox}.{self._number}"
        self._echoes[subject] = came
        self.send(lambda client: client.publish(subject))

    async def _returned(self, message: Any) -> None:
        came = self._echoes.pop(message.subject, None)
        if came is not None:
            came(None)

    async def run(self, over: asyncio.Event, ping: float, pong: float) -> None:
        """Send until the connection is over, or nothing comes for `pong` seconds while an echo is due; one is every `ping`."""
        # nats-py's own watch waits, when it has found a dead connection, until all is written to it: for ever
        parts = {asyncio.ensure_future(each) for each in (self._send(), over.wait(), self._watch(ping, pong))}
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_over = True
            self._due.set()
            for each in parts:
                each.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _watch(self, ping: float, pong: float) -> None:
        while True:
            await asyncio.sleep(ping)
            came = asyncio.Event()
            self.echo(partial(_returned_to, came))
            while not came.is_set():
                heard = self.client.stats["in_msgs"]
                try:
                    async with asyncio.timeout(pong):
                        await came.wait()
                except TimeoutError:
                    if self.client.stats["in_msgs"] == heard:
                        return

    async def _send(self) -> None:
        try:
            # a flag beside the cancellation: nats-py swallows one that reaches it while it waits for room to write
            while not self._is_over:
                await self._due.wait()
                self._due.clear()
                while self._steps and not self._is_over:
                    await self._steps.popleft()(self.client)
        except (NatsError, OSError):
            return  # the connection is over: whoever waits is told by lost()

    def lost(self, cause: str) -> None:
        """No echo comes any more."""
        echoes, self._echoes = self._echoes, {}
        for came in echoes.values():
            came(cause)


def _returned_to(came: asyncio.Event, _cause: str | None) -> None:
    came.set()
