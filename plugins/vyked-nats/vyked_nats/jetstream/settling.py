"""What members say of deliveries. What is said of one consumer in one turn of the loop goes out together, and the answer to the
last proves that the server has dealt with all: it takes them in order. What was not answered is said again over the next
connection, as long as it still means something.
"""

from __future__ import annotations

import asyncio
from functools import partial

from vyked_host import PermissionDenied, Unavailable
from vyked_host.contracts import Clock

from ..line import Line, NoAnswer
from ..message import Message

Told = asyncio.Future[None]


class _Word:
    """One thing to say. `until`: after this time (monotonic) it would be misunderstood."""

    __slots__ = ("payload", "subject", "told", "until")

    def __init__(self, subject: str, payload: bytes, until: float) -> None:
        self.subject, self.payload, self.until = subject, payload, until
        self.told: Told = asyncio.get_running_loop().create_future()
        self.told.add_done_callback(_looked_at)  # whoever does not await it hears of no failure: the event comes again


class Settling:
    """Of one host."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._line: Line | None = None
        self._words: dict[str, list[_Word]] = {}
        self._out: set[Told] = set()
        self._is_due = self._closed = False

    def say(self, consumer: str, subject: str, payload: bytes, until: float = float("inf")) -> Told:
        """Say `payload` of a delivery. Awaiting: the server has dealt with it. Raises Unavailable, PermissionDenied."""
        word = _Word(subject, payload, until)
        if self._closed:
            word.told.set_exception(_closed())
            return word.told
        self._out.add(word.told)
        word.told.add_done_callback(self._out.discard)
        self._put(consumer, word)
        return word.told

    def _put(self, consumer: str, word: _Word) -> None:
        self._words.setdefault(consumer, []).append(word)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._is_due = False
        if self._line is None:
            return
        words, self._words = self._words, {}
        for consumer, batch in words.items():
            for word in batch[:-1]:
                self._line.send(lambda client, word=word: client.publish(word.subject, word.payload))  # type: ignore[misc]
            self._line.ask(batch[-1].subject, batch[-1].payload, partial(self._answered, consumer, batch))

    def _answered(self, consumer: str, batch: list[_Word], answer: Message | NoAnswer) -> None:
        now = self._clock.now()
        for word in batch:
            if word.told.done():
                continue
            if isinstance(answer, Message):
                word.told.set_result(None)
            elif answer.denied:
                word.told.set_exception(PermissionDenied(answer.cause, executed="not_executed"))
            elif now < word.until and not self._closed:
                self._put(consumer, word)
            else:
                word.told.set_exception(Unavailable(f"{answer.cause}: the event comes again", executed="unknown"))

    # ---- the connection --------------------------------------------------------------------------------------------------
    def joined(self, line: Line) -> None:
        """There is a connection: what waits goes out."""
        self._line = line
        self._send()

    def left(self, _cause: str) -> None:
        """There is none."""
        self._line = None

    async def flush(self, within: float) -> None:
        """Wait until everything is answered, for as long as there is somebody to tell."""
        if self._out and self._line is not None:
            await asyncio.wait(set(self._out), timeout=within)

    def close(self) -> None:
        """Whoever waits still is told that it will not be answered."""
        self._closed = True
        for told in list(self._out):
            if not told.done():
                told.set_exception(_closed())


def _looked_at(told: Told) -> None:
    if not told.cancelled():
        told.exception()


def _closed() -> Unavailable:
    return Unavailable("the bus is closed: events that were not settled come again", executed="unknown")
