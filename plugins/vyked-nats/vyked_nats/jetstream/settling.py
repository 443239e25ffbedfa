"""What members say of deliveries. What is said of one consumer in one turn of the loop goes out together, and the answer to the
last proves that the server has dealt with all: it takes them in order. What was not answered is said again over the next
connection, as long as it still means something.

Whoever waits is told within the ack wait, as by every bus: a server that stays away answers nothing, and one that came back without the
end of its stream never answers what is said of an event in there. After that time the event comes again anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

import msgspec

from vyked_host import CallError, PermissionDenied, Unavailable
from vyked_host.contracts import Clock, Patience

from ..line import Line, NoAnswer
from ..message import STATUS, Message
from .api import NO_RESPONDERS, Refused
from .delivery import ACK, Word
from .past import Loss

AGAIN_S = 0.1
"""Until what nobody took is said again: a consumer that changes its place, or is made anew, hears nothing meanwhile."""


class Promise(asyncio.Future[None]):
    """Of what takes more than one word."""

    def fail(self, make: Callable[[], Exception]) -> None:
        """Tell whoever waits, unless it is over."""
        if not self.done():
            self.set_exception(make())
            self.exception()  # whoever does not await it hears of no failure: the event comes again

    async def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """It is over when `work` is."""
        try:
            await work
        except (Refused, CallError) as error:
            self.fail(partial(_same, error))
        finally:
            if not self.done():
                self.set_result(None)

    def waited(self) -> list[asyncio.Future[None]]:
        """What is to be waited for."""
        return [self]


class Batch(msgspec.Struct, eq=False):
    """What is said of one consumer in one turn of the loop."""

    words: list[Word]

    def done(self) -> bool:
        """Is nothing of it waited for any more?"""
        return all(word.is_over for word in self.words)

    def fail(self, make: Callable[[], Exception]) -> None:
        """Tell whoever said what is not over, each with an error of its own."""
        for word in self.words:
            word.fail(make())

    def waited(self) -> list[asyncio.Future[None]]:
        """What is to be waited for."""
        return [word.future() for word in self.words if not word.is_over]


class _Asked(NamedTuple):
    """Words whose answer is due, and by what the connection knows that."""

    line: Line
    reply: bytes
    batch: Batch


class Settling:
    """Of one host. `ack_wait_s`: seconds within which whoever waits is told; `place` says which servers those are."""

    def __init__(self, clock: Clock, ack_wait_s: float, place: str) -> None:
        self._clock, self._ack_wait_s, self._place = clock, ack_wait_s, place
        self._line: Line | None = None
        self._away = "not connected yet"
        self._said: dict[str, Batch] = {}
        """In this turn of the loop, by consumer."""
        self._held: list[tuple[str, Batch]] = []
        """Before, while there was no connection."""
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._patience = Patience[Batch | Promise](clock.now, clock.expire, ack_wait_s, self._not_told)
        self._losses: list[Loss] = []
        self._untaken: list[tuple[str, Word]] = []
        self._is_due = self._closed = False

    def say(self, consumer: str, answer_to: bytes, payload: bytes, until: float) -> Word:
        """Say `payload` of a delivery. Awaiting: the server has dealt with it. Raises Unavailable, within the ack wait, and
        PermissionDenied."""
        word = Word(answer_to=answer_to, payload=payload, until=until)
        self.tell(consumer, word)
        return word

    def tell(self, consumer: str, word: Word) -> None:
        """Say it at the end of this turn of the loop."""
        if self._closed:
            word.fail(_closed())
        elif self._losses and self._is_lost(word):
            return
        elif (batch := self._said.get(consumer)) is not None:
            batch.words.append(word)
        else:
            self._put(consumer, word)

    def lost(self, loss: Loss) -> None:
        """The server has lost events: of those nothing is said, for it would be said of what has their places now."""
        self._losses.append(loss)
        for _, batch in (*self._said.items(), *self._held):
            batch.words = [word for word in batch.words if not self._is_lost(word)]

    def _is_lost(self, word: Word) -> bool:
        reply = word.reply
        if not any(each.has(reply) for each in self._losses):
            return False
        text = f"{self._place} has lost the event with the end of its stream: nothing can be said of it, and it does not come again"
        word.fail(Unavailable(text, executed="not_executed"))
        return True

    def promise(self) -> Promise:
        """For what takes more than one word: whoever awaits it is told within the ack wait. It follows that."""
        promise = Promise()
        if self._closed:
            promise.fail(_closed)
        else:
            self._patience.watch(promise)
        return promise

    def _put(self, consumer: str, word: Word) -> None:
        batch = self._said.get(consumer)
        if batch is not None:
            batch.words.append(word)
            return
        batch = self._said[consumer] = Batch([word])
        self._patience.watch(batch)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._is_due, line = False, self._line
        said, self._said = self._said, {}
        if line is None:
            self._held += said.items()
            return
        for consumer, batch in said.items():
            if words := batch.words:
                self._number += 1
                reply = line.expect(words[-1].answer_to, partial(self._answered, self._number, consumer))
                self._asked[self._number] = _Asked(line, reply, batch)
                line.client.send(spoken(words, reply))

    def _answered(self, number: int, consumer: str, answer: Message | NoAnswer) -> None:
        words = self._asked.pop(number).batch.words
        if isinstance(answer, NoAnswer):
            self._not_answered(consumer, words, answer)
        elif answer.head and answer.headers.get(STATUS) == str(NO_RESPONDERS):
            for word in words:
                self._not_taken(consumer, word)
        else:
            for word in words:
                word.is_over = True
                if word.waiter is not None:
                    word.confirm()

    def _not_answered(self, consumer: str, words: list[Word], answer: NoAnswer) -> None:
        now = self._clock.now()
        for word in words:
            if word.is_over:
                continue
            if answer.denied:
                word.fail(PermissionDenied(answer.cause, executed="not_executed"))
            elif now < word.until and not self._closed:
                self._put(consumer, word)
            else:
                word.fail(Unavailable(f"{answer.cause}: the event comes again", executed="unknown"))

    def _not_taken(self, consumer: str, word: Word) -> None:
        """There is no such consumer at present. Whoever waits is told so when the ack wait is over."""
        if not word.is_over:
            if not self._untaken:
                asyncio.get_running_loop().call_later(AGAIN_S, self._say_again)
            self._untaken.append((consumer, word))

    def _say_again(self) -> None:
        untaken, self._untaken = self._untaken, []
        for consumer, word in untaken:
            if not word.is_over:
                self._put(consumer, word)

    def _not_told(self, late: list[Batch | Promise]) -> None:
        """The ack wait is over for these. What has not gone out yet is said all the same when there is a connection."""
        if self._line is None:
            why = f"{self._away}, for longer than ack_wait, {self._ack_wait_s:g} s"
        else:
            why = (
                f"{self._place} did not confirm within ack_wait, {self._ack_wait_s:g} s, what became of an event: it forgot, perhaps, "
                "that it had given it out"
            )
        text = f"{why}. The event comes again if it is not lost there; look whether the server was restarted or is overloaded"
        for each in late:
            each.fail(partial(Unavailable, text, executed="unknown"))
        for number, asked in list(self._asked.items()):
            if asked.batch.done():
                del self._asked[number]
                asked.line.forget(asked.reply)

    # ---- the connection --------------------------------------------------------------------------------------------------
    def joined(self, line: Line) -> None:
        """There is a connection: what waits goes out, where it still means something."""
        self._line = line
        now, waiting = self._clock.now(), [*self._held, *self._said.items()]
        self._held, self._said = [], {}
        for consumer, batch in waiting:
            for word in batch.words:
                if now < word.until:
                    self._put(consumer, word)
                else:
                    text = f"{self._away}: what became of an event could not be said in time; it comes again"
                    word.fail(Unavailable(text, executed="not_executed"))

    def left(self, cause: str) -> None:
        """There is none."""
        self._line, self._away = None, cause

    async def flush(self, within: float) -> None:
        """Wait until everything is answered, for as long as there is somebody to tell."""
        waited = [future for each in self._patience.open() for future in each.waited()]
        if waited and self._line is not None:
            await asyncio.wait(waited, timeout=within)

    def close(self) -> None:
        """Whoever waits still is told that it will not be answered."""
        self._closed = True
        for each in self._patience.close():
            each.fail(_closed)


def spoken(words: list[Word], reply: bytes) -> bytes:
    """What says them all, in order; the answer to the last goes to `reply`."""
    last = words[-1]
    before = [word.answer_to for word in words if word.payload is ACK]
    if len(before) == len(words):  # nearly always
        before[-1] += b" " + reply
        return b"PUB " + b" 4\r\n+ACK\r\nPUB ".join(before) + b" 4\r\n+ACK\r\n"
    said = [b"PUB %b %d\r\n%b\r\n" % (word.answer_to, len(word.payload), word.payload) for word in words[:-1]]
    return b"%bPUB %b %b %d\r\n%b\r\n" % (b"".join(said), last.answer_to, reply, len(last.payload), last.payload)


def _same(error: Exception) -> Exception:
    return error


def _closed() -> Unavailable:
    return Unavailable("the bus is closed: events that were not settled come again", executed="unknown")
