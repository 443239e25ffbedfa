"""What became of events, as this node saw it: the last it handed to its bus, the last that were delivered to it. Whatever the
bus, asking all nodes tells the way of one event.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import msgspec

from ..contracts import Clock
from ..model.report import DeliveryReport, FailedDelivery, Publication, Trail
from ..model.version import parse
from .failures import FailureLog

KEPT = 10_000
"""Publications, and deliveries, that a node remembers."""
RUNNING, WAITING, LOST, ACKED = "running", "waiting", "lost", "ack"
NOT_YET = -math.inf
"""Seconds that something took which goes on."""


class Kind(NamedTuple):
    """Of events."""

    service: str
    version: str
    name: str


class Published(msgspec.Struct, gc=False):
    """One event on its way to the bus, which took so many `seconds`, or refused it with a `cause`; NOT_YET: it is on its way."""

    event_id: str
    kind: Kind
    at: float
    seconds: float = NOT_YET
    cause: str = ""

    @property
    def outcome(self) -> str:
        """ "" once it is accepted."""
        return WAITING if self.seconds == NOT_YET else self.cause

    @property
    def topic(self) -> str:
        """``service.event@major``."""
        service, version, name = self.kind
        return f"{service}.{name}@{parse(version).major}"


class Consumer(NamedTuple):
    """A handler here: of which topic it is, what it is called, and for which group."""

    topic: str
    handler: str
    group: str | None


class Delivered(msgspec.Struct, gc=False):
    """One delivery to a handler here, which took so many `seconds` and ended so; NOT_YET: it runs. `cause` quotes no payload."""

    event_id: str
    consumer: Consumer
    count: int
    at: float
    seconds: float = NOT_YET
    ended: str = ACKED
    cause: str = ""

    @property
    def verdict(self) -> str:
        """`RUNNING` until it ends."""
        return RUNNING if self.seconds == NOT_YET else self.ended


class EventTrail:
    """Of one node."""

    def __init__(self, clock: Clock, node_id: str, failures: FailureLog) -> None:
        self._clock, self._node_id, self._failures = clock, node_id, failures
        self.published: deque[Published] = deque(maxlen=KEPT)
        self.delivered: deque[Delivered] = deque(maxlen=KEPT)

    def settled(self, entry: Published, outcome: str) -> None:
        """The bus took it ("") or did not (why)."""
        entry.cause, entry.seconds = outcome, self._clock.unix() - entry.at

    def failed(self, entry: Delivered, verdict: str) -> None:
        """The handler has not ended well; where the event comes again, or never will, the log of failures has it too."""
        entry.ended = verdict
        if verdict in ("retry", "reject"):
            self._failures.delivered(
                FailedDelivery(
                    event_id=entry.event_id, at=self._clock.unix(), node=self._node_id, topic=entry.consumer.topic,
                    handler=entry.consumer.handler, group=entry.consumer.group, count=entry.count, verdict=verdict, cause=entry.cause, seconds=entry.seconds,
                )
            )  # fmt: skip

    def of(self, event_id: str) -> Trail:
        """All that is remembered of one event."""
        return Trail(
            node=self._node_id,
            published=tuple(self._publication(each) for each in self.published if each.event_id == event_id),
            delivered=tuple(self._delivery(each) for each in self.delivered if each.event_id == event_id),
            remembers_since=self._remembers_since(),
        )

    def _remembers_since(self) -> float:
        """Nothing younger than this was forgotten."""
        full = [each[0].at for each in (self.published, self.delivered) if len(each) == KEPT]
        return max(full, default=0.0)

    def _publication(self, each: Published) -> Publication:
        seconds = each.seconds if each.outcome != WAITING else self._clock.unix() - each.at
        return Publication(
            event_id=each.event_id, at=each.at, node=self._node_id, topic=each.topic, outcome=each.outcome, seconds=seconds
        )  # fmt: skip

    def _delivery(self, each: Delivered) -> DeliveryReport:
        seconds = each.seconds if each.verdict != RUNNING else self._clock.unix() - each.at
        return DeliveryReport(
            event_id=each.event_id, at=each.at, node=self._node_id, topic=each.consumer.topic, handler=each.consumer.handler,
            group=each.consumer.group, count=each.count, verdict=each.verdict, cause=each.cause, seconds=seconds,
        )  # fmt: skip
