"""Events that go out. Calling hands the event to the bus within this turn of the loop; awaiting means that the back end has
it, to the durability it declares. An event nobody awaits is not lost silently: its failure is logged and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
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
_NONE: Mapping[str, str] = {}


class Receipt(asyncio.Future[Published]):
    """What `publish` gives. `accepted` is the bus's own; who gives up waiting takes the event back at once, where it has not gone out."""

    def __init__(self, accepted: asyncio.Future[None], entry: Entry) -> None:
        super().__init__()
        self.accepted, self.entry = accepted, entry

    def __await__(self) -> Generator[Any, None, Published]:
        """Wait for what the bus says itself: `_settled` was there before and is told first, so this is done by then, and a turn of the
        loop is saved."""
        if not self.accepted.done():
            yield from self.accepted
        if self.done():
            return self.result()
        return (yield from super().__await__())

    def cancel(self, msg: Any = None) -> bool:
        """Nobody waits any more."""
        self.accepted.cancel(msg)
        return super().cancel(msg)


class Publisher:
    """The events of one host."""

    def __init__(
        self, *, pubsub: PubSub, guarantees: Guarantees, codecs: Codecs, serializer: str, content_type: str, clock: Clock,
        node_id: str, log: logging.Logger, trail: EventTrail,
    ) -> None:  # fmt: skip
        self.trail = trail
        self._pubsub, self.guarantees, self._codecs = pubsub, guarantees, codecs
        self._serializer, self._content_type = serializer, content_type
        self._clock, self._node_id, self._log = clock, node_id, log
        self._encoders: dict[tuple[str, str, str], Callable[[Any], Any]] = {}
        self.published = self.failed = 0
        self._outstanding: set[asyncio.Future[None]] = set()

    def publish(
        self, event: EventDescription, payload: Any, *, key: str | None = None, id: str | None = None,
        timeout: float | None = None, delay: float | None = None, not_before: float | None = None,
    ) -> Awaitable[Published]:  # fmt: skip
        """Hand one event to the bus. No group gets it before `delay` seconds from now, or `not_before`, seconds since 1970. The
        awaitable raises TooLarge, Unavailable, Overloaded, DeadlineExceeded. Raises NotSupported for what the bus can't do."""
        message = self.message(event, payload, key=key, id=id, delay=delay, not_before=not_before)
        return self._hand_over(message, timeout or TIMEOUT_S)

    def message(
        self, event: EventDescription, payload: Any, *, key: str | None, id: str | None, delay: float | None = None,
        not_before: float | None = None,
    ) -> Event:  # fmt: skip
        """One event as it travels. Raises TooLarge, NotSupported."""
        due = None if delay is None and not_before is None else self._due(event, delay, not_before)
        body = self._encoder(event)(payload)
        if len(body) > self.guarantees.max_message_bytes:
            limit = self.guarantees.max_message_bytes
            raise TooLarge(
                f"{event.service}.{event.name}: {len(body)} bytes; the bus takes {limit}", executed="not_sent"
            )
        outer = CURRENT.get(None)
        metadata = _NONE if outer is None else outer.inherited
        if event.sensitive:
            metadata = {**metadata, SENSITIVE: ",".join(event.sensitive)}
        return Event(
            id=id or urandom(ID_BYTES).hex(),
            service=event.service,
            version=event.version,
            name=event.name,
            source=self._node_id,
            body=body,
            content_type=self._content_type,
            key=key,
            metadata=metadata,
            published_unix_s=self._clock.unix(),
            named=id is not None,
            not_before_unix_s=due,
        )

    def relay(self, message: Event) -> Awaitable[Published]:
        """Hand over one event that was made before, under its id. The awaitable raises as that of `publish`."""
        return self._hand_over(message, TIMEOUT_S)

    def _hand_over(self, message: Event, timeout: float) -> Awaitable[Published]:
        entry = self.trail.publishes(message)
        accepted = self._pubsub.publish(message, deadline=self._clock.now() + timeout)
        if not isinstance(accepted, asyncio.Future):
            accepted = asyncio.ensure_future(accepted)
        receipt = Receipt(accepted, entry)
        self._outstanding.add(accepted)
        accepted.add_done_callback(partial(self._settled, receipt))
        return receipt

    def _due(self, event: EventDescription, delay: float | None, not_before: float | None) -> float | None:
        if not self.guarantees.delays:
            raise NotSupported(
                f"{event.service}.{event.name}: the bus of this host can't hold anything back; enqueue it without a delay"
            )
        return self._clock.unix() + delay if delay is not None else not_before

    def _encoder(self, event: EventDescription) -> Callable[[Any], Any]:
        key = (event.service, event.version, event.name)
        found = self._encoders.get(key)
        if found is None:
            found = self._encoders[key] = self._codecs.bind(event.payload, self._serializer).encode
        return found

    def _settled(self, receipt: Receipt, accepted: asyncio.Future[None]) -> None:
        self._outstanding.discard(accepted)
        if accepted.cancelled():
            self._failed(receipt.entry, "nobody waited for the bus to accept it")
            receipt.cancel()
        elif (error := accepted.exception()) is not None:
            self._failed(receipt.entry, str(error) or type(error).__name__)
            if not receipt.done():
                receipt.set_exception(error)
                receipt.exception()  # logged above, so nobody has to fetch it
        else:
            self.published += 1
            self.trail.settled(receipt.entry, "")
            if not receipt.done():
                receipt.set_result(Published(id=receipt.entry.event_id, durability=self.guarantees.durability))

    def _failed(self, entry: Entry, cause: str) -> None:
        self.failed += 1
        self.trail.settled(entry, cause)
        what = f"{entry.service}.{entry.name} {entry.event_id}"
        self._log.warning("event %s: it is not known to be published: %s", what, cause)

    async def flush(self) -> None:
        """Wait until each event so far is accepted or has failed."""
        while self._outstanding:
            await asyncio.wait(set(self._outstanding))
