"""Events on their way to the server. What is published in one turn of the loop goes out together; while there is no connection,
events wait for one until their deadline. All that waits or is unanswered shares one budget.

How an event goes out and what confirms it is the carrier's: core NATS confirms a batch, JetStream each event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from math import inf
from typing import Any, Protocol

from vyked_host import CallError, DeadlineExceeded, Overloaded, PermissionDenied, TooLarge, Unavailable
from vyked_host.contracts import NOBODY, Clock, Ledger, Receipt, accepted

from .line import DENIED, Line

EVENT_BYTES = 512
"""What an event costs beside its bytes while it waits."""
RETRY_AFTER_S = 1.0
BATCH = 32
"""Of those that are published in one turn of the loop so many go out before its end, so that the server does not begin when there is nothing
to do here any more."""
AT_ONCE = 4096
"""Events that are out and not confirmed: beyond so many of all its publishers together, JetStream refuses
(https://docs.nats.io/running-a-nats-service/configuration, max_buffered_msgs: 10,000)."""


class Outgoing(Receipt, eq=False):
    """One event, from publish() to the server's confirmation, which is awaited. `to` is the subject, in bytes; `cost` is in bytes;
    `number` tells which came first; `maybe`: it was out, and nobody knows whether it arrived."""

    outbox: Outbox
    name: str
    to: bytes
    packed: bytes
    deadline: float
    id: str
    cost: int
    number: int
    maybe: bool = False

    def withdrawn(self) -> None:
        """Its publisher knows, or has gone: where it has not gone out, it does not."""
        self.outbox.withdrawn(self)


class Carrier(Protocol):
    """How events go out."""

    def carry(self, line: Line, batch: list[Outgoing], outbox: Outbox) -> None:
        """Send `batch` in order, and tell `outbox` of each what became of it: `ended` or `again`, once."""
        ...


class Outbox:
    """`line` gives the connection there is, `away` says why there is none; `most` is in bytes; `table` is the bus's in vyked.toml;
    `room` bytes of what the server takes are for what else there is to say of an event."""

    def __init__(
        self, most: int, clock: Clock, line: Callable[[], Line | None], away: Callable[[], str], carrier: Carrier, table: str,
        room: int = 0,
    ) -> None:  # fmt: skip
        self._most, self._clock, self._line, self._away = most, clock, line, away
        self._carrier, self._table, self._room, self._count = carrier, table, room, 0
        # in order of arrival; those that gave up leave the first at once
        self._waiting: dict[Outgoing, None] = {}
        self._sent: dict[Outgoing, None] = {}
        self._used = 0
        self._crowd = 0  # events that were out at once since none was
        self._look_at = inf
        self._is_due = self._came_back = False
        self._quiet: asyncio.Future[None] | None = None

    def publish(
        self, name: str, to: bytes, packed: bytes, deadline: float, event_id: str = "", ledger: Ledger = NOBODY,
        entry: Any = None,
    ) -> Receipt:  # fmt: skip
        """Hand over one event. Awaiting raises Overloaded, Unavailable, DeadlineExceeded, PermissionDenied, TooLarge."""
        cost, self._count = len(packed) + EVENT_BYTES, self._count + 1
        event = Outgoing(
            self, name, to, packed, deadline, event_id, cost, self._count, ledger=ledger, entry=entry
        )  # fmt: skip
        used = self._used + cost
        if used > self._most:
            event.fail(self._overloaded(name))
            return event
        self._used = used
        self._waiting[event] = None
        if deadline < self._look_at:
            self._look_again(deadline)
        if not self._is_due:
            self._hurry()
        elif len(self._waiting) == BATCH:
            self._send()
        return event

    def joined(self, line: Line) -> None:
        """There is a connection: what is too large for its server does not go out."""
        line.client.roomy = self.wake
        most = line.client.max_payload - self._room
        for event in [each for each in self._waiting if len(each.packed) > most]:
            text = f"event {event.name} has {len(event.packed)} bytes with its headers; the server takes {most} in all"
            event.fail(TooLarge(text, executed="not_sent"))
        self.wake()

    def _hurry(self) -> None:
        """At once, where nothing is under way, nor lately were several at once: nobody comes who could share the write, and the end of the
        turn is one more look at all sockets away."""
        if self._sent or self._crowd > 1:
            self.wake()
        else:
            self._send()

    def wake(self) -> None:
        """Send what waits at the end of this turn of the loop."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._is_due = False
        line, room = self._line(), AT_ONCE - len(self._sent)
        if line is None or not self._waiting or room <= 0 or line.client.is_full:
            return
        if self._came_back:  # what was out before comes first again
            ordered = sorted(self._waiting, key=lambda event: event.number)
            self._waiting, self._came_back = dict.fromkeys(ordered), False
        # who has given up in this very turn takes it back when it has its turn
        some = islice(self._waiting, room)
        batch = [event for event in some if (waiter := event.waiter) is None or not waiter.done()]
        if not batch:
            return
        self._are_sent(batch)
        self._carrier.carry(line, batch, self)
        line.client.flush()

    def _are_sent(self, batch: list[Outgoing]) -> None:
        """These go out, some of those that wait, or, as it is of most, all."""
        waiting, sent = self._waiting, self._sent
        if not sent:
            self._crowd = 0
        if len(batch) < len(waiting):
            for event in batch:
                del waiting[event]
                sent[event] = None
        elif sent:
            sent.update(waiting)
            waiting.clear()
        else:
            self._waiting, self._sent = sent, waiting
        self._crowd = max(self._crowd, len(self._sent))

    def confirmed(self, batch: Sequence[Outgoing]) -> None:
        """The server has them."""
        sent, used = self._sent, self._used
        for event in batch:
            del sent[event]
            used -= event.cost
        self._used = used
        accepted(batch)
        self._settled()

    def refused(self, event: Outgoing, error: CallError) -> None:
        """It is not to be tried any more."""
        del self._sent[event]
        self._used -= event.cost
        event.fail(error)
        self._settled()

    def again(self, event: Outgoing, *, maybe: bool) -> None:
        """It goes out once more, over the next connection or when the bus says; `maybe`: it may have arrived."""
        del self._sent[event]
        event.maybe = event.maybe or maybe
        if not event.is_wanted:
            self._used -= event.cost
            self._settled()
        else:
            self._waiting[event] = None
            self._came_back = True

    def withdrawn(self, event: Outgoing) -> None:
        """Who published it knows, or has gone: where it has not gone out, it leaves without a trace."""
        if event in self._waiting:
            del self._waiting[event]
            self._used -= event.cost
            self._settled()

    def _settled(self) -> None:
        if self._waiting:
            self.wake()
        elif not self._used and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def told(self, error: str) -> None:
        """The server reports an error: about a subject that we may not publish to, perhaps."""
        if DENIED not in error.lower():
            return
        for event in list(self._sent):
            to = event.to.decode("utf-8", "surrogateescape")
            if f'"{to}"'.lower() in error.lower():
                text = f"event {event.name} is not published: {error}; allow this user to publish to {to}"
                event.fail(PermissionDenied(text, executed="not_executed"))

    async def flush(self, within: float) -> None:
        """Wait until everything is answered, for as long as there is somebody to send it to."""
        if self._used and self._line() is not None:
            self._quiet = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._quiet}, timeout=within)

    def close(self) -> None:
        """Whoever still waits to be sent is told that it was not."""
        for event in list(self._waiting):
            event.fail(Unavailable(f"event {event.name} is not published: the bus was closed", executed="not_sent"))

    # ---- deadlines: one look for all, when the first of them is over -----------------------------------------------------
    def _look_again(self, at: float) -> None:
        self._look_at = at
        self._clock.expire(at, partial(self._look, at))

    def _look(self, at: float) -> None:
        if at != self._look_at:  # there was an earlier one, and one was begun anew
            return
        now, first = self._clock.now(), inf
        for event in [*self._waiting, *self._sent]:
            if event.is_over:
                continue
            if event.deadline <= now:
                self._expire(event)
            else:
                first = min(first, event.deadline)
        self._look_at = inf
        if first < inf:
            self._look_again(first)

    def _expire(self, event: Outgoing) -> None:
        if event in self._sent or event.maybe:
            text = f"event {event.name} may or may not be published: no answer within its deadline"
            event.fail(DeadlineExceeded(text, executed="unknown"))
        else:
            event.fail(Unavailable(f"event {event.name} is not published: {self._away()}", executed="not_sent"))

    def _overloaded(self, name: str) -> Overloaded:
        away = "" if self._line() is not None else f"; {self._away()}"
        text = f"event {name} is not published: {self._used} bytes of events wait for the server, [{self._table}] outbox = {self._most}"
        return Overloaded(f"{text}{away}", executed="not_sent", retry_after=RETRY_AFTER_S)


class Echoed:
    """Core NATS: an echo after the last of a batch confirms them all."""

    def carry(self, line: Line, batch: list[Outgoing], outbox: Outbox) -> None:
        """Publish `batch`."""
        line.client.send_all([b"PUB %b %d\r\n%b\r\n" % (event.to, len(event.packed), event.packed) for event in batch])
        line.echo(partial(self._echoed, batch, outbox))

    @staticmethod
    def _echoed(batch: list[Outgoing], outbox: Outbox, cause: str | None) -> None:
        if cause is None:
            outbox.confirmed(batch)
            return
        for event in batch:
            text = f"event {event.name} may or may not be published: {cause}"
            outbox.refused(event, Unavailable(text, executed="unknown"))
