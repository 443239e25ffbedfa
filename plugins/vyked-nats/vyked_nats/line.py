"""One connection at work: what is to be sent goes out in order, and an echo says how far the server has come.

A server works off what one client sends in order, so a message to ourselves that comes back proves that it has taken all that
went before. (nats-py's flush() writes its PING ahead of what waits in its buffer, so it proves nothing.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

Step = Callable[[Client], Awaitable[Any]]
DENIED = "permissions violation for publish to"


class NoAnswer(NamedTuple):
    """What comes instead of an answer: the connection is over, or the server does not let us ask (`denied`)."""

    cause: str
    denied: bool = False


Answered = Callable[[Msg | NoAnswer], None]


class _Asked(NamedTuple):
    """A question that is out."""

    subject: str
    answered: Answered


class Line:
    """`send`, `ask` and `echo` are in order; `lost` ends what waits."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._steps: deque[Step] = deque()
        self._due = asyncio.Event()
        self._inbox = client.new_inbox()
        self._asked: dict[str, _Asked] = {}
        self._number = 0
        self._is_over = False

    async def begin(self) -> None:
        """Listen for answers and our own echoes."""
        await self.client.subscribe(f"{self._inbox}.*", cb=self._returned)

    def send(self, step: Step) -> None:
        """Do `step` with the client, after all that was asked for before."""
        self._steps.append(step)
        self._due.set()

    def ask(self, subject: str, payload: bytes, answered: Answered, headers: dict[str, str] | None = None) -> str:
        """Publish, and take what comes back: `answered` is called once. Returns what `forget` takes."""
        reply = self._expect(subject, answered)
        self.send(lambda client: client.publish(subject, payload, reply=reply, headers=headers))
        return reply

    def forget(self, reply: str) -> None:
        """Nobody waits for that answer any more."""
        self._asked.pop(reply, None)

    def echo(self, came: Callable[[str | None], None]) -> None:
        """`came` is called once: with None when the server has taken all that was sent before, else with the cause."""
        subject = self._expect("", partial(_echoed, came))
        self.send(lambda client: client.publish(subject))

    def _expect(self, subject: str, answered: Answered) -> str:
        self._number += 1
        reply = f"{self._inbox}.{self._number}"
        self._asked[reply] = _Asked(subject, answered)
        return reply

    async def _returned(self, message: Msg) -> None:
        asked = self._asked.pop(message.subject, None)
        if asked is not None:
            asked.answered(message)

    def told(self, error: str) -> None:
        """The server reports an error: about a subject that we may not ask, perhaps."""
        if DENIED not in error.lower():
            return
        for reply, asked in list(self._asked.items()):
            if asked.subject and f'"{asked.subject}"'.lower() in error.lower():
                del self._asked[reply]
                asked.answered(NoAnswer(f"{error}; allow this user to publish to {asked.subject}", denied=True))

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
        """No answer comes any more."""
        asked, self._asked = self._asked, {}
        for each in asked.values():
            each.answered(NoAnswer(cause))


def _echoed(came: Callable[[str | None], None], answer: Msg | NoAnswer) -> None:
    came(answer.cause if isinstance(answer, NoAnswer) else None)


def _returned_to(came: asyncio.Event, _cause: str | None) -> None:
    came.set()
