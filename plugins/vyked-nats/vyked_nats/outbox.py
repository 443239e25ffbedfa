"""Events on their way to the server. What is published in one turn of the loop goes out together and is confirmed together;
while there is no connection, events wait for one until their deadline. All that waits or is unanswered shares one budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from nats.aio.client import Client

from vyked_host import CallError, DeadlineExceeded, Overloaded, PermissionDenied, Unavailable
from vyked_host.contracts import Clock

from .line import Line

EVENT_BYTES = 512
"""What an event costs beside its bytes while it waits."""
RETRY_AFTER_S = 1.0
DENIED = "permissions violation for publish to"


class Outgoing:
    """One event, from publish() to the server's confirmation."""

    __slots__ = ("accepted", "cost", "forget_deadline", "name", "packed", "sent", "subject")

    def __init__(self, name: str, subject: str, packed: bytes) -> None:
        self.name, self.subject, self.packed = name, subject, packed
        self.cost = len(packed) + EVENT_BYTES
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent = False
        self.forget_deadline: Callable[[], None] = _nothing

    def fail(self, error: CallError) -> None:
        """Tell the publisher, unless it knows already or has gone."""
        if not self.accepted.done():
            self.accepted.set_exception(error)


class Outbox:
    """`line` gives the connection there is, `away` says why there is none; `most` is in bytes."""

    def __init__(self, most: int, clock: Clock, line: Callable[[], Line | None], away: Callable[[], str]) -> None:
        self._most, self._clock, self._line, self._away = most, clock, line, away
        self._waiting: dict[int, Outgoing] = {}  # in order of arrival; those that gave up leave it at once
        self._sent: dict[int, Outgoing] = {}
        self._used = 0
        self._is_due = False
        self._quiet: asyncio.Future[None] | None = None

    def publish(self, name: str, subject: str, packed: bytes, deadline: float) -> Awaitable[None]:
        """Hand over one event. Awaiting raises Overloaded, Unavailable, DeadlineExceeded, PermissionDenied."""
        event = Outgoing(name, subject, packed)
        if self._used + event.cost > self._most:
            event.fail(self._overloaded(name))
            return event.accepted
        self._used += event.cost
        self._waiting[id(event)] = event
        event.forget_deadline = self._clock.at(deadline, partial(self._expire, event))
        event.accepted.add_done_callback(partial(self._done, event))
        self.wake()
        return event.accepted

    def wake(self) -> None:
        """Send what waits at the end of this turn of the loop."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._is_due = False
        line = self._line()
        batch = [each for each in self._waiting.values() if not each.accepted.done()]
        if line is None or not batch:
            return
        for event in batch:
            event.sent = True
            del self._waiting[id(event)]
            self._sent[id(event)] = event
            line.send(partial(_publish, event))
        line.echo(partial(self._confirmed, batch))

    def _confirmed(self, batch: list[Outgoing], cause: str | None) -> None:
        for event in batch:
            del self._sent[id(event)]
            self._release(event)
            if cause is not None:
                text = f"event {event.name} may or may not be published: {cause}"
                event.fail(Unavailable(text, executed="unknown"))
            elif not event.accepted.done():
                event.accepted.set_result(None)

    def told(self, error: str) -> None:
        """The server reports an error: about a subject that we may not publish to, perhaps."""
        if DENIED not in error.lower():
            return
        for event in list(self._sent.values()):
            if f'"{event.subject}"'.lower() in error.lower():
                text = f"event {event.name} is not published: {error}; allow this user to publish to {event.subject}"
                event.fail(PermissionDenied(text, executed="not_executed"))

    async def flush(self, within: float) -> None:
        """Wait until everything is answered, for as long as there is somebody to send it to."""
        if self._used and self._line() is not None:
            self._quiet = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._quiet}, timeout=within)

    def close(self) -> None:
        """Whoever still waits to be sent is told that it was not."""
        for event in list(self._waiting.values()):
            event.fail(Unavailable(f"event {event.name} is not published: the bus was closed", executed="not_sent"))

    # ---- the ends of an event ------------------------------------------------------------------------------------------
    def _expire(self, event: Outgoing) -> None:
        if event.sent:
            text = f"event {event.name} may or may not be published: no answer within its deadline"
            event.fail(DeadlineExceeded(text, executed="unknown"))
        else:
            event.fail(Unavailable(f"event {event.name} is not published: {self._away()}", executed="not_sent"))

    def _done(self, event: Outgoing, _accepted: asyncio.Future[None]) -> None:
        """Confirmed, expired or cancelled: what is not on its way leaves without a trace."""
        event.forget_deadline()
        if self._waiting.pop(id(event), None) is not None:
            self._release(event)

    def _release(self, event: Outgoing) -> None:
        self._used -= event.cost
        if not self._used and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def _overloaded(self, name: str) -> Overloaded:
        away = "" if self._line() is not None else f"; {self._away()}"
        text = f"event {name} is not published: {self._used} bytes of events wait for the server, [pubsub.nats] outbox = {self._most}"
        return Overloaded(f"{text}{away}", executed="not_sent", retry_after=RETRY_AFTER_S)


async def _publish(event: Outgoing, client: Client) -> None:
    if not event.accepted.cancelled():  # its publisher has gone before it was written
        await client.publish(event.subject, event.packed)


def _nothing() -> None:
    """There is no deadline to forget."""
