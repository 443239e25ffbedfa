"""Events on their way to the server. What is published in one turn of the loop goes out in one pipeline; while there is no
connection, events wait for one until their deadline. All that waits or is unanswered shares one budget in bytes.

A cancelled publish takes nothing from anybody: an event that is on its way keeps its place among the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from redis.exceptions import NoPermissionError, OutOfMemoryError

from ...contracts import Clock
from ...errors import CallError, DeadlineExceeded, Overloaded, PermissionDenied, Unavailable
from .line import Command
from .wire import Word

EVENT_BYTES = 512
"""What an event costs beside its bytes while it waits."""
A_WRITE_EVENTS, A_WRITE_BYTES = 512, 1 << 20
RETRY_AFTER_S = 1.0


class _Outgoing:
    """One event, from publish() to the server's answer."""

    __slots__ = ("_outbox", "accepted", "command", "cost", "forget_deadline", "name", "sent")

    def __init__(self, outbox: Outbox, name: str, command: tuple[Word, ...], size: int) -> None:
        self._outbox, self.name, self.command = outbox, name, command
        self.cost = size + EVENT_BYTES
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent = False
        self.forget_deadline: Callable[[], None] = _nothing

    def answered(self, reply: object) -> None:
        """The server took it, for as many as listen now; or refused."""
        self._outbox.over(self)
        if isinstance(reply, Exception):
            self.fail(self._outbox.refusal(self, reply))
        elif not self.accepted.done():
            self.accepted.set_result(None)

    def lost(self, cause: str) -> None:
        """The connection broke before the answer."""
        self._outbox.over(self)
        self.fail(Unavailable(f"event {self.name} may or may not be published: {cause}", executed="unknown"))

    def fail(self, error: CallError) -> None:
        """Tell the publisher, unless it knows already or has gone."""
        if not self.accepted.done():
            self.accepted.set_exception(error)


class Outbox:
    """`wake` is called when there is something to take; `away` says why nobody takes it, "" while somebody does; `rights` are
    what a user needs to publish, as ACL SETUSER takes them; `table` is that of the options."""

    def __init__(
        self, most: int, clock: Clock, wake: Callable[[], None], away: Callable[[], str],
        words: Callable[[Exception], str], rights: str, table: str,
    ) -> None:  # fmt: skip
        self._most, self._clock, self._wake, self._away, self._words = most, clock, wake, away, words
        self._rights, self._table = rights, table
        self._waiting: dict[int, _Outgoing] = {}  # in order of arrival; those that gave up leave it at once
        self._used = 0
        self._quiet: asyncio.Future[None] | None = None

    def publish(self, name: str, command: tuple[Word, ...], size: int, deadline: float) -> Awaitable[None]:
        """Hand over one event of `size` bytes. Awaiting raises Overloaded, Unavailable, DeadlineExceeded, PermissionDenied."""
        event = _Outgoing(self, name, command, size)
        if self._used + event.cost > self._most:
            event.fail(self._overloaded(name))
            return event.accepted
        self._used += event.cost
        self._waiting[id(event)] = event
        event.forget_deadline = self._clock.expire(deadline, partial(self._expire, event))
        event.accepted.add_done_callback(partial(self._done, event))
        self._wake()
        return event.accepted

    def take(self) -> Sequence[Command]:
        """What goes out in the next write."""
        batch: list[_Outgoing] = []
        size = 0
        for event in self._waiting.values():
            if event.accepted.done():  # its publisher was told otherwise in this very turn
                continue
            size += event.cost
            if batch and (size > A_WRITE_BYTES or len(batch) == A_WRITE_EVENTS):
                break
            batch.append(event)
        for event in batch:
            event.sent = True
            del self._waiting[id(event)]
        return [(event.command, event) for event in batch]

    def over(self, event: _Outgoing) -> None:
        """The server has answered, or never will."""
        self._release(event)

    async def flush(self, within: float) -> None:
        """Wait until everything is answered, for as long as there is somebody to send it to."""
        if self._used and not self._away():
            self._quiet = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._quiet}, timeout=within)

    def close(self) -> None:
        """Whoever still waits to be sent is told that it was not."""
        for event in list(self._waiting.values()):
            event.fail(Unavailable(f"event {event.name} is not published: the bus was closed", executed="not_sent"))

    def refusal(self, event: _Outgoing, error: Exception) -> CallError:
        """An error reply of the server as the publisher sees it."""
        text = f"event {event.name} is not published: {self._words(error)}"
        if isinstance(error, NoPermissionError):
            remedy = f"ACL SETUSER <user> {self._rights} lets this user publish"
            return PermissionDenied(f"{text}; {remedy}", executed="not_executed")
        if isinstance(error, OutOfMemoryError):
            return Overloaded(text, executed="not_executed", retry_after=RETRY_AFTER_S)
        return Unavailable(text, executed="not_executed")

    # ---- the ends of an event ------------------------------------------------------------------------------------------
    def _expire(self, event: _Outgoing) -> None:
        away = self._away()
        if event.sent:
            text = f"event {event.name} may or may not be published: no answer within its deadline"
            event.fail(DeadlineExceeded(text, executed="unknown"))
        elif away:
            event.fail(Unavailable(f"event {event.name} is not published: {away}", executed="not_sent"))
        else:
            text = f"event {event.name} is not published: the server does not keep up"
            event.fail(DeadlineExceeded(text, executed="not_sent"))

    def _done(self, event: _Outgoing, _accepted: asyncio.Future[None]) -> None:
        """Answered, expired or cancelled: what is not on its way leaves without a trace."""
        event.forget_deadline()
        if self._waiting.pop(id(event), None) is not None:
            self._release(event)

    def _release(self, event: _Outgoing) -> None:
        self._used -= event.cost
        if not self._used and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def _overloaded(self, name: str) -> Overloaded:
        text = f"event {name} is not published: {self._used} bytes of events wait for the server, [{self._table}] outbox = {self._most}"
        away = self._away()
        return Overloaded(f"{text}; {away}" if away else text, executed="not_sent", retry_after=RETRY_AFTER_S)


def _nothing() -> None:
    """There is no deadline to forget."""
