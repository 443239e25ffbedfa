"""An event on its way through the broker: decoded and packed, each made once and only where somebody needs it."""

from __future__ import annotations

from typing import NamedTuple

from ....contracts import Event
from ....model.version import parse
from ....wire.envelope import pack, unpack

OVERHEAD = 1024
"""What an event costs beside its body, in bytes: generous, so that the sum stays under the bound."""
SMALL = OVERHEAD
"""Bytes up to which an event is kept packed beside its decoded self: what is larger is packed whenever it travels, so that its
body is in memory once."""


class Topic(NamedTuple):
    """What events are published to and subscribed by."""

    service: str
    major: int
    name: str

    def __str__(self) -> str:
        return f"{self.service}.{self.name}@{self.major}"


class Parcel:
    """One event. A small one that came packed is not packed again, and within one process none ever is. `identity`: two of the
    same are the same event; an author may give ids, and the same one to events of different topics."""

    __slots__ = ("_packed", "event", "identity", "topic")

    def __init__(self, event: Event, packed: bytes | None = None) -> None:
        self.event, self._packed = event, packed
        self.topic = Topic(event.service, parse(event.version).major, event.name)
        self.identity = f"{event.id} {self.topic.service}.{self.topic.name}@{self.topic.major}"

    @classmethod
    def of(cls, packed: bytes) -> Parcel:
        """The event in `packed`. Raises wire.envelope.MalformedEnvelope."""
        return cls(unpack(packed), packed if len(packed) <= SMALL else None)

    @property
    def packed(self) -> bytes:
        """The event as it travels."""
        if self._packed is not None:
            return self._packed
        packed = pack(self.event)
        if len(packed) <= SMALL:
            self._packed = packed
        return packed

    @property
    def cost(self) -> int:
        """Bytes that keeping it for one group, or for one node, is counted as."""
        return len(self.event.body) + OVERHEAD
