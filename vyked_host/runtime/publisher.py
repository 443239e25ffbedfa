"""Events that go out. Calling hands the event to the bus within this turn of the loop; awaiting means that the back end has
it, to the durability it declares. An event nobody awaits is not lost silently: its failure is logged and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from os import urandom
from typing import Any

from ..contracts import Clock, PubSub
from ..errors import NotSupported, TooLarge
from ..model.description import EventDescription
from ..model.message import SENSITIVE, Event, Guarantees
from ..service.context import CURRENT
from ..service.endpoints import Published
from .codecs import Codecs
from .trail import EventTrail
from .trail import Published as Entry

TIMEOUT_S = 10.0
ID_BYTES = 16
IDS = 64
"""So many ids are made at once."""
_NONE: Mapping[str, str] = {}


class Answer(asyncio.Future[None]):
    """Of a bus that answers out of a coroutine: who gives up does not wait until that one has taken notice."""

    def __init__(self, accepted: asyncio.Task[None]) -> None:
        super().__init__()
        self._accepted = accepted
        accepted.add_done_callback(self._told)

    def _told(self, accepted: asyncio.Task[None]) -> None:
        if self.done():
            return
        if accepted.cancelled():
            super().cancel()
        elif (error := accepted.exception()) is not None:
            self.set_exception(error)
            self.exception()  # whoever waits for it or not: it is logged
        else:
            self.set_result(None)

    def cancel(self, msg: Any = None) -> bool:
        """Nobody waits any more."""
        self._accepted.cancel(msg)
        return super().cancel(msg)


class Receipt:
    """What `publish` gives. `answer` is the bus's own; who gives up waiting for it takes the event back at once, where it has not gone
    out."""

    __slots__ = ("_answer", "_publisher", "entry")

    def __init__(self, publisher: Publisher, answer: Awaitable[None], entry: Entry) -> None:
        self._publisher, self._answer, self.entry = publisher, answer, entry

    def __await__(self) -> Generator[Any, None, Published]:
        """Wait for what the bus says itself: `settled` is told of it first."""
        yield from self._answer.__await__()
        return Published(id=self.entry.event_id, durability=self._publisher.guarantees.durability)

    def settled(self, accepted: asyncio.Future[None]) -> None:
        """The bus has said what became of the event."""
        publisher, entry = self._publisher, self.entry
        publisher.outstanding.discard(accepted)
        try:
            error = accepted.exception()
        except asyncio.CancelledError:
            publisher.failure(entry, "nobody waited for the bus to accept it")
            return
        if error is not None:
            publisher.failure(entry, str(error) or type(error).__name__)
            return
        publisher.published += 1
        entry.outcome, entry.seconds = "", publisher.unix() - entry.at


class Publishing:
    """One event as one host publishes it: `service.endpoints.Publish`, composed once."""

    __slots__ = ("_encode", "_event", "_most", "_publisher", "_sensitive")

    def __init__(self, publisher: Publisher, event: EventDescription, encode: Callable[[Any], Any]) -> None:
        self._publisher, self._event, self._encode = publisher, event, encode
        self._most = publisher.guarantees.max_message_bytes
        self._sensitive = {SENSITIVE: ",".join(event.sensitive)} if event.sensitive else _NONE

    def __call__(
        self, payload: Any, /, *, key: str | None = None, id: str | None = None, timeout: float | None = None,
        delay: float | None = None, not_before: float | None = None,
    ) -> Awaitable[Published]:  # fmt: skip
        """Hand one event to the bus. No group gets it before `delay` seconds from now, or `not_before`, seconds since 1970. The
        awaitable raises TooLarge, Unavailable, Overloaded, DeadlineExceeded. Raises NotSupported for what the bus can't do."""
        return self._publisher.hand_over(self.message(payload, key, id, delay, not_before), timeout or TIMEOUT_S)

    def message(
        self, payload: Any, key: str | None, id: str | None, delay: float | None, not_before: float | None
    ) -> Event:  # fmt: skip
        """One event as it travels. Raises TooLarge, NotSupported."""
        publisher, event = self._publisher, self._event
        body = self._encode(payload)
        if len(body) > self._most:
            text = f"{event.service}.{event.name}: {len(body)} bytes; the bus takes {self._most}"
            raise TooLarge(text, executed="not_sent")
        outer = CURRENT.get(None)
        return Event(
            id=id or next(publisher.new_ids),
            service=event.service,
            version=event.version,
            name=event.name,
            source=publisher.node_id,
            body=body,
            content_type=publisher.content_type,
            key=key,
            metadata=self._sensitive if outer is None else {**outer.inherited, **self._sensitive},
            published_unix_s=publisher.unix(),
            named=id is not None,
            not_before_unix_s=None if delay is None and not_before is None else self._due(delay, not_before),
        )

    def _due(self, delay: float | None, not_before: float | None) -> float | None:
        event, publisher = self._event, self._publisher
        if not publisher.guarantees.delays:
            raise NotSupported(
                f"{event.service}.{event.name}: the bus of this host can't hold anything back; enqueue it without a delay"
            )
        return publisher.unix() + delay if delay is not None else not_before


class Publisher:
    """The events of one host."""

    def __init__(
        self, *, pubsub: PubSub, guarantees: Guarantees, codecs: Codecs, serializer: str, content_type: str, clock: Clock,
        node_id: str, log: logging.Logger, trail: EventTrail,
    ) -> None:  # fmt: skip
        self.trail, self._publishes = trail, trail.published.append
        self._pubsub, self.guarantees, self._codecs = pubsub, guarantees, codecs
        self._serializer, self.content_type = serializer, content_type
        self.unix, self._now, self.node_id, self._log = clock.unix, clock.now, node_id, log
        self.new_ids = _new_ids()
        self._composed: dict[tuple[str, str, str], Publishing] = {}
        self.published = self.failed = 0
        self.outstanding: set[asyncio.Future[None]] = set()

    def of(self, event: EventDescription) -> Publishing:
        """What publishes `event`."""
        key = (event.service, event.version, event.name)
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
        return self.hand_over(message, TIMEOUT_S)

    def hand_over(self, message: Event, timeout: float) -> Awaitable[Published]:
        """Give it to the bus, which has `timeout` seconds."""
        entry = Entry(message.id, message.service, message.version, message.name, message.published_unix_s)
        self._publishes(entry)
        accepted = answer = self._pubsub.publish(message, deadline=self._now() + timeout)
        if not isinstance(accepted, asyncio.Future):
            accepted = asyncio.ensure_future(accepted)
            answer = Answer(accepted)
        receipt = Receipt(self, answer, entry)
        self.outstanding.add(accepted)
        accepted.add_done_callback(receipt.settled)
        return receipt

    def failure(self, entry: Entry, cause: str) -> None:
        """The bus has not accepted it, as far as is known."""
        self.failed += 1
        self.trail.settled(entry, cause)
        what = f"{entry.service}.{entry.name} {entry.event_id}"
        self._log.warning("event %s: it is not known to be published: %s", what, cause)

    async def flush(self) -> None:
        """Wait until each event so far is accepted or has failed."""
        while self.outstanding:
            await asyncio.wait(set(self.outstanding))


def _new_ids() -> Iterator[str]:
    """Of events: random, as many at a time as one look into the system's source of it pays for."""
    while True:
        some = urandom(ID_BYTES * IDS).hex()
        for at in range(0, len(some), 2 * ID_BYTES):
            yield some[at : at + 2 * ID_BYTES]
