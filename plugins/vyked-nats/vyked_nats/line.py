"""One connection at work: questions and their answers, and how far the server has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from .connection import ANY, Connection
from .message import Message

Step = Callable[[Connection], Any]
DENIED = "permissions violation for publish to"


class NoAnswer(NamedTuple):
    """What comes instead of an answer: the connection is over, or the server does not let us ask (`denied`)."""

    cause: str
    denied: bool = False


Answered = Callable[[Message | NoAnswer], None]


class _Asked(msgspec.Struct, eq=False):
    """A question that is out."""

    subject: bytes
    answered: Answered


class Line:
    """`send`, `ask` and `echo` are in order; `lost` ends what waits."""

    def __init__(self, client: Connection) -> None:
        self.client = client
        self._inbox = client.new_inbox()
        self._inbox_bytes = self._inbox.encode()
        self._asked: dict[bytes, _Asked] = {}
        self._number = 0

    def begin(self) -> None:
        """Listen for answers."""
        self.client.subscribe(f"{self._inbox}.*", self._returned)

    def send(self, step: Step) -> None:
        """Do `step` with the connection."""
        step(self.client)

    def ask(self, subject: str, payload: bytes, answered: Answered, headers: dict[str, str] | None = None) -> bytes:
        """Publish, and take what comes back: `answered` is called once. Returns what `forget` takes."""
        reply = self.expect(subject.encode(*ANY), answered)
        self.client.publish(subject, payload, reply.decode(), headers)
        return reply

    def expect(self, subject: bytes, answered: Answered) -> bytes:
        """The subject at which to answer a question that is sent to `subject`."""
        self._number += 1
        reply = b"%b.%d" % (self._inbox_bytes, self._number)
        self._asked[reply] = _Asked(subject, answered)
        return reply

    def forget(self, reply: bytes) -> None:
        """Nobody waits for that answer any more."""
        self._asked.pop(reply, None)

    def echo(self, came: Callable[[str | None], None]) -> None:
        """`came` is called once: with None when the server has taken all that was sent before, else with the cause."""
        self.client.ping(came)

    def _returned(self, message: Message) -> None:
        asked = self._asked.pop(message.sent_to, None)
        if asked is not None:
            asked.answered(message)

    def told(self, error: str) -> None:
        """The server reports an error: about a subject that we may not ask, perhaps."""
        if DENIED not in error.lower():
            return
        for reply, asked in list(self._asked.items()):
            subject = asked.subject.decode(*ANY)
            if f'"{subject}"'.lower() in error.lower():
                del self._asked[reply]
                asked.answered(NoAnswer(f"{error}; allow this user to publish to {subject}", denied=True))

    async def run(self, over: asyncio.Event, ping: float, pong: float) -> None:
        """Until the connection is over, or nothing comes for `pong` seconds while an echo is due; one is every `ping`."""
        parts = {asyncio.ensure_future(each) for each in (over.wait(), self._watch(ping, pong))}
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in parts:
                each.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _watch(self, ping: float, pong: float) -> None:
        while True:
            await asyncio.sleep(ping)
            came = asyncio.Event()
            self.echo(partial(_returned_to, came))
            while not came.is_set():
                heard = self.client.chunks
                try:
                    async with asyncio.timeout(pong):
                        await came.wait()
                except TimeoutError:
                    if self.client.chunks == heard:
                        return

    def lost(self, cause: str) -> None:
        """No answer comes any more."""
        asked, self._asked = self._asked, {}
        for each in asked.values():
            each.answered(NoAnswer(cause))
        self.client.forget_pings(cause)


def _returned_to(came: asyncio.Event, _cause: str | None) -> None:
    came.set()
