"""What members say of deliveries. What is said of one consumer in one turn of the loop goes out together, and the answer to the
last proves that the server has dealt with all: it takes them in order. What was not answered is said again over the next
connection, as long as it still means something.

Whoever waits is told within the ack wait, as by every bus: a server that stays away answers nothing, and one that came back without the
end of its stream never answers what is said of an event in there. After that time the event comes again anyway.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

import msgspec

from vyked_host import PermissionDenied, Unavailable
from vyked_host.contracts import Clock, Patience

from ..connection import publication
from ..line import Line, NoAnswer
from ..message import STATUS, Message
from .api import NO_RESPONDERS
from .past import Loss

AGAIN_S = 0.1
"""Until what nobody took is said again: a consumer that changes its place, or is made anew, hears nothing meanwhile."""

Told = asyncio.Future[None]


class _Word(msgspec.Struct, eq=False):
    """One thing to say. `until`: after this time (monotonic) it would be misunderstood."""

    subject: str
    payload: bytes
    until: float
    told: Told


class _Asked(NamedTuple):
    """Words whose answer is due, and by what the connection knows that."""

    line: Line
    reply: bytes
    words: list[_Word]


class Settling:
    """Of one host. `ack_wait_s`: seconds within which whoever waits is told; `place` says which servers those are."""

    def __init__(self, clock: Clock, ack_wait_s: float, place: str) -> None:
        self._clock, self._ack_wait_s, self._place = clock, ack_wait_s, place
        self._line: Line | None = None
        self._away = "not connected yet"
        self._words: dict[str, list[_Word]] = {}
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._patience = Patience[Told](clock.now, clock.expire, ack_wait_s, self._not_told)
        self._losses: list[Loss] = []
        self._untaken: list[tuple[str, _Word]] = []
        self._is_due = self._closed = False

    def say(self, consumer: str, subject: str, payload: bytes, until: float = float("inf")) -> Told:
        """Say `payload` of a delivery. Awaiting: the server has dealt with it. Raises Unavailable, within the ack wait, and
        PermissionDenied."""
        told = self.promise()
        if not told.done() and not self._is_lost(subject, told):
            self._put(consumer, _Word(subject, payload, until, told))
        return told

    def lost(self, loss: Loss) -> None:
        """The server has lost events: of those nothing is said, for it would be said of what has their places now."""
        self._losses.append(loss)
        for words in self._words.values():
            words[:] = [word for word in words if not self._is_lost(word.subject, word.told)]

    def _is_lost(self, subject: str, told: Told) -> bool:
        if not (self._losses and any(each.has(subject) for each in self._losses)):
            return False
        if not told.done():
            text = f"{self._place} has lost the event with the end of its stream: nothing can be said of it, and it does not come again"
            _fail(told, Unavailable(text, executed="not_executed"))
        return True

    def promise(self) -> Told:
        """For what takes more than one word: whoever awaits it is told within the ack wait. Set it when that is done, unless it is."""
        told: Told = asyncio.get_running_loop().create_future()
        if self._closed:
            _fail(told, _closed())
        else:
            self._patience.watch(told)
        return told

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
            self._line.client.send_all([publication(word.subject, word.payload) for word in batch[:-1]])
            self._number += 1
            answered = partial(self._answered, self._number, consumer)
            reply = self._line.ask(batch[-1].subject, batch[-1].payload, answered)
            self._asked[self._number] = _Asked(self._line, reply, batch)

    def _answered(self, number: int, consumer: str, answer: Message | NoAnswer) -> None:
        now = self._clock.now()
        is_taken = isinstance(answer, Message) and answer.headers.get(STATUS) != str(NO_RESPONDERS)
        for word in self._asked.pop(number).words:
            if word.told.done():
                continue
            if is_taken:
                word.told.set_result(None)
            elif isinstance(answer, Message):
                self._not_taken(consumer, word)
            elif answer.denied:
                _fail(word.told, PermissionDenied(answer.cause, executed="not_executed"))
            elif now < word.until and not self._closed:
                self._put(consumer, word)
            else:
                _fail(word.told, Unavailable(f"{answer.cause}: the event comes again", executed="unknown"))

    def _not_taken(self, consumer: str, word: _Word) -> None:
        """There is no such consumer at present. Whoever waits is told so when the ack wait is over."""
        if not self._untaken:
            asyncio.get_running_loop().call_later(AGAIN_S, self._say_again)
        self._untaken.append((consumer, word))

    def _say_again(self) -> None:
        untaken, self._untaken = self._untaken, []
        for consumer, word in untaken:
            if not word.told.done():
                self._put(consumer, word)

    def _not_told(self, late: list[Told]) -> None:
        """The ack wait is over for these. What has not gone out yet is said all the same when there is a connection."""
        if self._line is None:
            why = f"{self._away}, for longer than ack_wait, {self._ack_wait_s:g} s"
        else:
            why = (
                f"{self._place} did not confirm within ack_wait, {self._ack_wait_s:g} s, what became of an event: it forgot, perhaps, "
                "that it had given it out"
            )
        text = f"{why}. The event comes again if it is not lost there; look whether the server was restarted or is overloaded"
        for told in late:
            _fail(told, Unavailable(text, executed="unknown"))
        for number, asked in list(self._asked.items()):
            if all(word.told.done() for word in asked.words):
                del self._asked[number]
                asked.line.forget(asked.reply)

    # ---- the connection --------------------------------------------------------------------------------------------------
    def joined(self, line: Line) -> None:
        """There is a connection: what waits goes out, where it still means something."""
        self._line = line
        now, waiting, self._words = self._clock.now(), self._words, {}
        for consumer, words in waiting.items():
            for word in words:
                if now < word.until:
                    self._put(consumer, word)
                elif not word.told.done():
                    text = f"{self._away}: what became of an event could not be said in time; it comes again"
                    _fail(word.told, Unavailable(text, executed="not_executed"))

    def left(self, cause: str) -> None:
        """There is none."""
        self._line, self._away = None, cause

    async def flush(self, within: float) -> None:
        """Wait until everything is answered, for as long as there is somebody to tell."""
        waited = self._patience.open()
        if waited and self._line is not None:
            await asyncio.wait(waited, timeout=within)

    def close(self) -> None:
        """Whoever waits still is told that it will not be answered."""
        self._closed = True
        for told in self._patience.close():
            _fail(told, _closed())


def _fail(told: Told, error: Exception) -> None:
    told.set_exception(error)
    told.exception()  # whoever does not await it hears of no failure: the event comes again


def _closed() -> Unavailable:
    return Unavailable("the bus is closed: events that were not settled come again", executed="unknown")
