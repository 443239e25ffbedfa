"""One event as one host publishes it, composed once: what is the same of all of them is put together before the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..contracts import TakesEnvelopes
from ..errors import NotSupported, TooLarge
from ..model.description import EventDescription
from ..model.message import SENSITIVE, Event
from ..service.context import inherited_context
from ..service.endpoints import Plain, Published
from ..wire.envelope import enveloping
from .trail import Kind
from .trail import Published as Entry

if TYPE_CHECKING:
    from .publisher import Publisher

TIMEOUT_S = 10.0
_NONE: Mapping[str, str] = {}


class Publishing:
    """`service.endpoints.Publish`. `plain` is the same without options."""

    __slots__ = ("_encode", "_event", "_kind", "_most", "_publisher", "_sensitive", "plain")

    def __init__(self, publisher: Publisher, event: EventDescription, encode: Callable[[Any], Any]) -> None:
        self._publisher, self._event, self._encode = publisher, event, encode
        self._kind = Kind(event.service, event.version, event.name)
        self._most = publisher.guarantees.max_message_bytes
        self._sensitive = {SENSITIVE: ",".join(event.sensitive)} if event.sensitive else _NONE
        bus = publisher.pubsub
        self.plain: Plain = self._enveloping(bus) if isinstance(bus, TakesEnvelopes) else self.__call__

    def __call__(
        self, payload: Any, /, *, key: str | None = None, id: str | None = None, timeout: float | None = None,
        delay: float | None = None, not_before: float | None = None,
    ) -> Awaitable[Published]:  # fmt: skip
        """Hand one event to the bus. No group gets it before `delay` seconds from now, or `not_before`, seconds since 1970. The
        awaitable raises TooLarge, Unavailable, Overloaded, DeadlineExceeded. Raises NotSupported for what the bus can't do."""
        message = self.message(payload, key, id, delay, not_before)
        return self._publisher.hand_over(message, self._kind, timeout or TIMEOUT_S)

    def _enveloping(self, bus: TakesEnvelopes) -> Plain:
        """To a bus to which most events are bytes and nothing else: those that inherit nothing, too."""
        publisher, encode, most, kind = self._publisher, self._encode, self._most, self._kind
        envelope = enveloping(self._message("", b"", None, None, self._sensitive, None))
        take, keep, ids = bus.envelopes(*kind), publisher.trail.published.append, publisher.new_ids
        unix, now, outer_one = publisher.unix, publisher.now, inherited_context

        def publish(payload: Any, /) -> Awaitable[Published]:
            outer = outer_one(None)
            if outer is not None and outer.inherited:
                return self(payload)
            body = encode(payload)
            if len(body) > most:
                raise self._too_large(body)
            id, at = next(ids), unix()
            entry = Entry(id, kind, at)
            keep(entry)
            publisher.outstanding += 1
            return take(envelope(id, body, at), len(body), now() + TIMEOUT_S, publisher, entry)

        return publish

    def message(
        self, payload: Any, key: str | None, id: str | None, delay: float | None, not_before: float | None
    ) -> Event:  # fmt: skip
        """One event as it travels. Raises TooLarge, NotSupported."""
        body = self._encode(payload)
        if len(body) > self._most:
            raise self._too_large(body)
        outer = inherited_context(None)
        metadata = self._sensitive if outer is None else {**outer.inherited, **self._sensitive}
        not_before = None if delay is None and not_before is None else self._due(delay, not_before)
        return self._message(id or next(self._publisher.new_ids), body, id, key, metadata, not_before)

    def _message(
        self, id: str, body: bytes, named: str | None, key: str | None, metadata: Mapping[str, str], not_before: float | None
    ) -> Event:  # fmt: skip
        publisher, (service, version, name) = self._publisher, self._kind
        return Event(
            id=id, service=service, version=version, name=name, source=publisher.node_id, body=body,
            content_type=publisher.content_type, key=key, metadata=metadata, published_unix_s=publisher.unix(),
            named=named is not None, not_before_unix_s=not_before,
        )  # fmt: skip

    def _too_large(self, body: bytes) -> TooLarge:
        text = f"{self._event.service}.{self._event.name}: {len(body)} bytes; the bus takes {self._most}"
        return TooLarge(text, executed="not_sent")

    def _due(self, delay: float | None, not_before: float | None) -> float | None:
        event, publisher = self._event, self._publisher
        if not publisher.guarantees.delays:
            raise NotSupported(
                f"{event.service}.{event.name}: the bus of this host can't hold anything back; enqueue it without a delay"
            )
        return publisher.unix() + delay if delay is not None else not_before
