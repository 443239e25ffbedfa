"""Reads one consumer: asks the server for as many events as there is room for, one request at a time, the next when the last is
used up. A request waits at the server, which says every now and then that it has not forgotten it; when it is silent for
longer than that, it is asked anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from vyked_host import CallError, StartError
from vyked_host.contracts import Environment

from ..connection import Connection, Subscription
from ..line import Line
from ..message import DESCRIPTION, STATUS, Message
from .api import NO_RESPONDERS, Refused
from .store import NS

MOST_AT_ONCE = 256
EXPIRES_S = 60.0
SILENT_BEATS = 3
BEAT_S = 1.0
AFTER_ERROR_S = 1.0
ACK = b"$JS.ACK."
IDLE = "100"
DELETED = "consumer deleted"
_FAULTS = (Refused, CallError, StartError)


class Streams(Protocol):
    """Where the consumer is to be."""

    async def make(self) -> None:
        """They are there. Raises StartError where one is not as it has to be, and what Api raises."""
        ...

    def forget(self) -> None:
        """They have to be looked at again."""
        ...


class Reader:
    """`prepare` makes sure that the consumer is there and says its name; `room` says how many events may come; `got` takes each.
    `stream` is the name of the stream."""

    def __init__(
        self, what: str, stream: str, store: Streams, env: Environment, *, prepare: Callable[[], Awaitable[str]],
        room: Callable[[], int], got: Callable[[Message], None],
    ) -> None:  # fmt: skip
        self.what, self._stream, self._store, self._env, self._log = what, stream, store, env, env.log
        self._prepare, self._room, self._got = prepare, room, got
        self._beat_s = max(0.1, min(BEAT_S, env.timing.pong / SILENT_BEATS))
        self.entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line: Line | None = None
        self._handle: Subscription | None = None
        self._consumer = self._inbox = ""
        self._number = self._left_over = 0
        self._silent = 0
        self.is_asked = False
        """Does a request wait at the server?"""
        self._is_due = self._paused = self._is_ready = self._is_watched = False
        self._forget_watch: Callable[[], None] = _nothing
        self._stop_entering: Callable[[], None] = _nothing

    # ---- the connection --------------------------------------------------------------------------------------------------
    def joined(self, line: Line) -> None:
        """There is a connection: see to the consumer, and read."""
        self._line = line
        self._enter()

    def begin(self, line: Line) -> None:
        """There is a connection, unless it knows already."""
        if self._line is not line:
            self.joined(line)

    def left(self, _cause: str) -> None:
        """There is none."""
        self._stop_entering()
        self._line = self._handle = None
        self.is_asked = self._is_ready = False

    def enter_again(self) -> None:
        """The consumer is gone."""
        self.is_asked = self._is_ready = False
        if self._line is not None:
            self._enter()

    def _enter(self) -> None:
        self._stop_entering()
        if not self._paused:
            self._stop_entering = self._env.tasks(self._entering(), f"nats: {self.what}")

    async def _entering(self) -> None:
        while True:
            try:
                await self._store.make()
                self._consumer = await self._prepare()
                break
            except _FAULTS as error:
                self._store.forget()
                if not self.entered.done():
                    self.entered.set_exception(error)
                    self.entered.exception()  # who waits for it is told; a registry goes on by itself
                else:
                    self._log.error("%s: nothing comes in: %s", self.what, error)
            await asyncio.sleep(AFTER_ERROR_S)
        if self._line is not None and not self._paused:
            self._read(self._line)
        if not self.entered.done():
            self.entered.set_result(None)

    def _read(self, line: Line) -> None:
        self._is_ready = True
        if self._handle is None:
            self._inbox = line.client.new_inbox()
            line.send(partial(self._listen, self._inbox))
        self.wake()

    def _listen(self, inbox: str, client: Connection) -> None:
        self._handle = client.subscribe(f"{inbox}.*", self._heard)

    # ---- asking ------------------------------------------------------------------------------------------------------------
    def wake(self) -> None:
        """There may be room, at the end of this turn of the loop."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        self._is_due = False
        if self._line is None or self.is_asked or self._paused or not self._is_ready:
            return
        room = min(self._room(), MOST_AT_ONCE)
        if room <= 0:
            return
        self.is_asked, self._left_over = True, room
        self._number += 1
        self._silent = 0
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        wanted = {"batch": room, "expires": int(EXPIRES_S * NS), "idle_heartbeat": int(self._beat_s * NS)}
        body, reply = json.dumps(wanted).encode(), f"{self._inbox}.{self._number}"
        self._line.send(lambda client: client.publish(subject, body, reply=reply))
        if not self._is_watched:
            self._watch()

    def _watch(self) -> None:
        self._is_watched = True
        self._forget_watch = self._env.clock.expire(self._env.clock.now() + self._beat_s, self._look)

    def _look(self) -> None:
        """Has anything come since the last look, a beat ago?"""
        self._is_watched = False
        if not self.is_asked:
            return
        self._silent += 1
        if self._silent <= SILENT_BEATS:
            self._watch()
        else:
            self.is_asked = False  # what still comes of it is taken all the same
            self.wake()

    # ---- what comes --------------------------------------------------------------------------------------------------------
    def _heard(self, message: Message) -> None:
        self._silent = 0
        if message.answer_to.startswith(ACK):
            # it has the subject that it was published to, so nobody can say of which request it comes: of the last, but for one
            # that was given up and had only been slow
            self._left_over -= 1
            if self._left_over <= 0:
                self.is_asked = False
                self.wake()
            self._got(message)
        elif message.head and message.subject == f"{self._inbox}.{self._number}":
            said = message.headers
            self._ended(said.get(STATUS, ""), said.get(DESCRIPTION, ""))

    def _ended(self, status: str, why: str) -> None:
        if status == IDLE:
            return
        if status == str(NO_RESPONDERS) or DELETED in why.lower():
            self._log.warning("%s: the consumer is gone at the server: %s", self.what, why or "nobody answers")
            self.enter_again()
        else:  # it has expired, or moved to another server
            self.is_asked = False
            self.wake()

    # ---- the end -----------------------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Ask for nothing more; what is on its way still comes. Idempotent."""
        if self._paused:
            return
        self._paused = True
        self._stop_entering()
        self._forget_watch()
        handle, line = self._handle, self._line
        if handle is not None and line is not None:
            # not unsubscribe(): that drops what is on its way, which would come again only after the ack wait
            handle.stop()

    async def aclose(self, within: float) -> None:
        """No more, and nothing is on its way. Idempotent."""
        self.pause()
        handle, line = self._handle, self._line
        if handle is None or line is None:
            return
        self._handle = None
        gone = asyncio.Event()
        line.echo(lambda _cause: gone.set())
        try:
            async with asyncio.timeout(within):
                await gone.wait()
        except TimeoutError:
            self._log.warning("%s: the server does not answer; what was on its way comes again", self.what)
        handle.forget()


def _nothing() -> None:
    """There is nothing to forget."""
