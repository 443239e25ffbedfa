"""Events that go out. Calling hands the event to the bus within this turn of the loop; awaiting means that the back end has
it, to the durability it declares. An event nobody awaits is not lost silently: its failure is logged and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Sequence
from itertools import chain
from os import urandom
from typing import Any

from ..contracts import Clock, Ledger, PubSub, Receipt
from ..model.description import EventDescription
from ..model.message import Event, Guarantees
from ..service.endpoints import Published
from ..wire.envelope import ID_CHARACTERS
from .answered import Followed
from .codecs import Codecs
from .publishing import TIMEOUT_S, Publishing
from .trail import EventTrail, Kind
from .trail import Published as Entry

ID_BYTES = ID_CHARACTERS // 2
IDS = 64
"""So many ids are made at once."""


class Publisher(Ledger):
    """The events of one host."""

    def __init__(
        self, *, pubsub: PubSub, guarantees: Guarantees, codecs: Codecs, serializer: str, content_type: str, clock: Clock,
        node_id: str, log: logging.Logger, trail: EventTrail,
    ) -> None:  # fmt: skip
        self.trail, self._publishes = trail, trail.published.append
        self.pubsub, self._give, self.guarantees, self._codecs = pubsub, pubsub.publish, guarantees, codecs
        self._serializer, self.content_type = serializer, content_type
        self.unix, self.now, self.node_id, self._log = clock.unix, clock.now, node_id, log
        self.new_ids = _new_ids()
        self._composed: dict[Kind, Publishing] = {}
        self.published = self.failed = 0
        self.outstanding = 0
        self._quiet: asyncio.Future[None] | None = None

    def of(self, event: EventDescription) -> Publishing:
        """What publishes `event`."""
        key = Kind(event.service, event.version, event.name)
        found = self._composed.get(key)
        if found is None:
            encode = self._codecs.bind(event.payload, self._serializer).encode
            found = self._composed[key] = Publishing(self, event, encode)
        return found

    def publish(self, event: EventDescription, payload: Any, **options: Any) -> Awaitable[Published]:
        """Hand one event to the bus: see `Publishing`."""
        return self.of(event)(payload, **options)

    def relay(self, message: Event) -> Awaitable[Published]:
        """Hand over one event that was made before, under its id. The awaitable raises as that of `publish`."""
        return self.hand_over(message, Kind(message.service, message.version, message.name), TIMEOUT_S)

    def hand_over(self, message: Event, kind: Kind, timeout: float) -> Awaitable[Published]:
        """Give it to the bus, which has `timeout` seconds."""
        entry = Entry(message.id, kind, message.published_unix_s)
        self._publishes(entry)
        answer = self._give(message, deadline=self.now() + timeout)
        self.outstanding += 1
        if not isinstance(answer, Receipt):
            return Followed(self, answer, entry)
        answer.entry, answer.ledger = entry, self
        if answer.is_over:
            self._is_over_already(answer)
        return answer

    def _is_over_already(self, receipt: Receipt) -> None:
        """The bus knew at once."""
        if receipt.error is None:
            self.succeeded(receipt.entry)
        else:
            self.failure(receipt.entry, receipt.error)

    # ---- what became of them: contracts.Ledger --------------------------------------------------------------------
    def accepted(self, receipts: Sequence[Receipt]) -> None:
        """The back end has these."""
        now, count = self.unix(), 0
        for each in receipts:
            if each.is_over:
                continue
            each.is_over = True
            count += 1
            entry = each.entry
            entry.seconds = now - entry.at
            if (waiter := each.waiter) is not None and not waiter.done():
                waiter.set_result(None)
        self.published += count
        self._settled(count)

    def not_accepted(self, receipt: Receipt, error: BaseException) -> None:
        """The back end has not accepted it, as far as is known."""
        self.failure(receipt.entry, error)

    def said(self, receipt: Receipt) -> Published:
        """What whoever awaited it gets."""
        return Published(id=receipt.entry.event_id, durability=self.guarantees.durability)

    def published_as(self, entry: Entry) -> Published:
        """The same, of what has no receipt."""
        return Published(id=entry.event_id, durability=self.guarantees.durability)

    def succeeded(self, entry: Entry) -> None:
        """The bus has accepted one event."""
        self.trail.settled(entry, "")
        self.published += 1
        self._settled(1)

    def failure(self, entry: Entry, error: BaseException) -> None:
        """The bus has not accepted it, as far as is known; of a cancellation: nobody knows any more."""
        gave_up = isinstance(error, asyncio.CancelledError)
        cause = "nobody waited for the bus to accept it" if gave_up else str(error) or type(error).__name__
        self.failed += 1
        self.trail.settled(entry, cause)
        what = f"{entry.kind.service}.{entry.kind.name} {entry.event_id}"
        self._log.warning("event %s: it is not known to be published: %s", what, cause)
        self._settled(1)

    def _settled(self, count: int) -> None:
        self.outstanding -= count
        if not self.outstanding and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    async def flush(self) -> None:
        """Wait until each event so far is accepted or has failed."""
        while self.outstanding:
            if self._quiet is None or self._quiet.done():
                self._quiet = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._quiet})


def _new_ids() -> Iterator[str]:
    """Of events: random, as many at a time as one look into the system's source of it pays for."""
    return chain.from_iterable(_some_ids())


def _some_ids() -> Iterator[list[str]]:
    while True:
        yield urandom(ID_BYTES * IDS).hex(" ", ID_BYTES).split()
