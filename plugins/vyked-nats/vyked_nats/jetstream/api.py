"""Questions to JetStream: JSON under $JS.API (https://docs.nats.io/reference/reference-protocols/nats_api_reference).

They wait for a connection, for ever or as long as the asker says; one that breaks before the answer is asked again over the next. All that is asked here may be done twice.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from vyked_host import PermissionDenied, Unavailable, VykedError

from ..line import Line, NoAnswer
from ..message import FIRST_LINE, Message

NO_RESPONDERS = 503
UNHEARD = b"%b %d" % (FIRST_LINE, NO_RESPONDERS)
"""What the headers of a message begin with that says so."""
STREAM_IN_USE = 10058
NO_STREAM, NO_CONSUMER, NO_MESSAGE = 10059, 10014, 10037
STREAM_IS_FULL = frozenset({10077, 10023, 10028, 10047, 10167})
"""Stream store failed, insufficient resources, memory or storage exceeded, too many requests
(https://github.com/nats-io/nats-server/blob/main/server/errors.json)."""


class Refused(VykedError):
    """The server can't, for the reason in the text; `number` is its own (err_code), 503 where nobody answers at all."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class Api:
    """Over the connection that there is. `patience`: seconds for one answer; `away_s`: for a connection, None: until there is one.
    Raises Refused, PermissionDenied, Unavailable."""

    def __init__(self, patience: float, *, away_s: float | None = None) -> None:
        self._patience, self._away_s, self._away = patience, away_s, "not connected yet"
        self._line: Line | None = None
        self._waiting: set[asyncio.Future[Line]] = set()
        self._closed = False

    def joined(self, line: Line) -> None:
        """There is a connection."""
        self._line = line
        for each in self._waiting:
            if not each.done():
                each.set_result(line)
        self._waiting.clear()

    def left(self, cause: str) -> None:
        """There is none."""
        self._line, self._away = None, cause

    def close(self) -> None:
        """Nothing is asked any more."""
        self._closed = True
        for each in self._waiting:
            if not each.done():
                each.set_exception(_closed())
        self._waiting.clear()

    async def ask(self, name: str, body: dict[str, Any] | None = None) -> Any:
        """The answer to ``$JS.API.name``."""
        return await self.publish(f"$JS.API.{name}", b"" if body is None else json.dumps(body).encode())

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Any:
        """The answer to what is published: where a stream has the subject, that it has it."""
        while True:
            line = await self._connection()
            answer: asyncio.Future[Message | NoAnswer] = asyncio.get_running_loop().create_future()
            line.ask(subject, payload, partial(_answered, answer), headers)
            try:
                async with asyncio.timeout(self._patience):
                    found = await answer
            except TimeoutError:
                raise Unavailable(f"no answer to {subject} within {self._patience:g} s", executed="unknown") from None
            if isinstance(found, Message):
                return parsed(found)
            if found.denied:
                raise PermissionDenied(found.cause, executed="not_executed")

    async def _connection(self) -> Line:
        if self._closed:
            raise _closed()
        if self._line is not None:
            return self._line
        waiting: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(self._away_s):
                return await waiting
        except TimeoutError:
            text = f"{self._away}: no connection within {self._away_s:g} s"
            raise Unavailable(text, executed="not_executed") from None
        finally:
            self._waiting.discard(waiting)


def parsed(message: Message) -> Any:
    """What an answer says. Raises Refused."""
    if is_unheard(message):
        raise Refused(NO_RESPONDERS, "no JetStream answers, or none that has such a stream or consumer")
    try:
        found = json.loads(message.data)
        error = found.get("error")
    except (ValueError, AttributeError):
        raise Refused(0, f"an answer that is none: {bytes(message.data[:100])!r}") from None
    if error:
        raise Refused(int(error.get("err_code", error.get("code", 0))), str(error.get("description", error)))
    return found


def is_unheard(message: Message) -> bool:
    """Was there nobody to take the question?"""
    return message.head.startswith(UNHEARD)


def _answered(answer: asyncio.Future[Message | NoAnswer], found: Message | NoAnswer) -> None:
    if not answer.done():
        answer.set_result(found)


def _closed() -> Unavailable:
    return Unavailable("the bus is closed", executed="unknown")
