"""Events on their way to the server. What is published in one turn of the loop goes out together; while there is no connection,
events wait for one until their deadline. All that waits or is unanswered shares one budget.

How an event goes out and what confirms it is the carrier's: core NATS confirms a batch, JetStream each event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice
from typing import Protocol

from vyked_host import CallError, DeadlineExceeded, Overloaded, PermissionDenied, TooLarge, Unavailable
from vyked_host.contracts import Clock

from .connection import Connection
from .line import DENIED, Line

EVENT_BYTES = 512
"""What an event costs beside its bytes while it waits."""
RETRY_AFTER_S = 1.0
AT_ONCE = 4096
"""Events that are out and not confirmed: beyond so many of all its publishers together, JetStream refuses
(https://docs.nats.io/running-a-nats-service/configuration, max_buffered_msgs: 10,000)."""


class Outgoing:
    """One event, from publish() to the server's confirmation."""

    __slots__ = ("accepted", "cost", "forget_deadline", "id", "maybe", "name", "number", "packed", "sent", "subject")

    def __init__(self, name: str, subject: str, packed: bytes, event_id: str, number: int) -> None:
        self.name, self.subject, self.packed, self.id, self.number = name, subject, packed, event_id, number
        self.maybe = False  # it was out, and nobody knows whether it arrived
        self.cost = len(packed) + EVENT_BYTES
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent = False
        self.forget_deadline: Callable[[], None] = _nothing

    def fail(self, error: CallError) -> None:
        """Tell the publisher, unless it knows already or has gone."""
        if not self.accepted.done():
            self.accepted.set_exception(error)


class Carrier(Protocol):
    """How events go out."""

    def carry(self, line: Line, batch: list[Outgoing], outbox: Outbox) -> None:
        """Send `batch` in order, and tell `outbox` of each what became of it: `ended` or `again`, once."""
        ...


class Outbox:
    """`line` gives the connection there is, `away` says why there is none; `most` is in bytes; `table` is the bus's in vyked.toml;
    `room` bytes of what the server takes are for what else there is to say of an event."""

    def __init__(
        self,
        most: int,
        clock: Clock,
        line: Callable[[], Line | None],
        away: Callable[[], str],
        carrier: Carrier,
        table: str,
        room: int = 0,
    ) -> None:
        self._most, self._clock, self._line, self._away = most, clock, line, away
        self._carrier, self._table, self._room, self._count = carrier, table, room, 0
        self._waiting: dict[int, Outgoing] = {}  # in order of arrival; those that gave up leave it at once
        self._sent: dict[int, Outgoing] = {}
        self._used = 0
        self._is_due = self._came_back = False
        self._quiet: asyncio.Future[None] | None = None

    def publish(self, name: str, subject: str, packed: bytes, deadline: float, event_id: str = "") -> Awaitable[None]:
        """Hand over one event. Awaiting raises Overloaded, Unavailable, DeadlineExceeded, PermissionDenied."""
        self._count += 1
        event = Outgoing(name, subject, packed, event_id, self._count)
        if self._used + event.cost > self._most:
            event.fail(self._overloaded(name))
            return event.accepted
        self._used += event.cost
        self._waiting[event.number] = event
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
        room = AT_ONCE - len(self._sent)
        if line is None or not self._waiting or room <= 0 or line.client.is_full:
            return
        if self._came_back:  # what was out before comes first again
            self._waiting, self._came_back = dict(sorted(self._waiting.items())), False
        batch = list(islice((each for each in self._waiting.values() if not each.accepted.done()), room))
        most = line.client.max_payload - self._room
        for event in batch:
            event.sent = True
            del self._waiting[event.number]
            self._sent[event.number] = event
        for event in [event for event in batch if len(event.packed) > most]:
            batch.remove(event)
            self.ended(event, _too_large(event, most))
        if batch:
            self._carrier.carry(line, batch, self)
            line.client.flush()

    def ended(self, event: Outgoing, error: CallError | None) -> None:
        """The server has it (`error` None), or it is not to be tried any more."""
        del self._sent[event.number]
        self._release(event)
        if error is not None:
            event.fail(error)
        elif not event.accepted.done():
            event.accepted.set_result(None)
        if self._waiting:
            self.wake()

    def again(self, event: Outgoing, *, maybe: bool) -> None:
        """It goes out once more, over the next connection or when the bus says; `maybe`: it may have arrived."""
        del self._sent[event.number]
        event.sent, event.maybe = False, event.maybe or maybe
        if event.accepted.done():
            self._release(event)
        else:
            self._waiting[event.number] = event
            self._came_back = True

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
        if event.sent or event.maybe:
            text = f"event {event.name} may or may not be published: no answer within its deadline"
            event.fail(DeadlineExceeded(text, executed="unknown"))
        else:
            event.fail(Unavailable(f"event {event.name} is not published: {self._away()}", executed="not_sent"))

    def _done(self, event: Outgoing, _accepted: asyncio.Future[None]) -> None:
        """Confirmed, expired or cancelled: what is not on its way leaves without a trace."""
        event.forget_deadline()
        if self._waiting.pop(event.number, None) is not None:
            self._release(event)

    def _release(self, event: Outgoing) -> None:
        self._used -= event.cost
        if not self._used and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def _overloaded(self, name: str) -> Overloaded:
        away = "" if self._line() is not None else f"; {self._away()}"
        text = f"event {name} is not published: {self._used} bytes of events wait for the server, [{self._table}] outbox = {self._most}"
        return Overloaded(f"{text}{away}", executed="not_sent", retry_after=RETRY_AFTER_S)


class Echoed:
    """Core NATS: an echo after the last of a batch confirms them all."""

    def carry(self, line: Line, batch: list[Outgoing], outbox: Outbox) -> None:
        """Publish `batch`."""
        line.send(partial(_publish, batch))
        line.echo(partial(self._confirmed, batch, outbox))

    @staticmethod
    def _confirmed(batch: list[Outgoing], outbox: Outbox, cause: str | None) -> None:
        for event in batch:
            text = f"event {event.name} may or may not be published: {cause}"
            outbox.ended(event, None if cause is None else Unavailable(text, executed="unknown"))


def _publish(batch: list[Outgoing], client: Connection) -> None:
    for event in batch:
        client.publish(event.subject, event.packed)


def _too_large(event: Outgoing, most: int) -> TooLarge:
    text = f"event {event.name} has {len(event.packed)} bytes with its headers"
    return TooLarge(f"{text}; the server takes {most} in all", executed="not_sent")


def _nothing() -> None:
    """There is no deadline to forget."""
