"""What the suites for buses publish, and who takes it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ...contracts import Delivery, Event, Subscription, Verdict

ACK = Verdict(action="ack")
_numbers = itertools.count(1)


def event(
    name: str = "paid",
    *,
    service: str = "shop",
    key: str | None = None,
    body: bytes = b"{}",
    published: float = 1.5,
    **more: Any,
) -> Event:
    """A new event."""
    return Event(
        id=f"event-{next(_numbers)}", service=service, version="1.4.0", name=name, source="kit", body=body,
        content_type="application/json", key=key, metadata={"traceparent": "00-1"}, published_unix_s=published, **more,
    )  # fmt: skip


def to(group: str | None, member: str, **more: Any) -> Subscription:
    """A subscription to shop.paid@1."""
    return Subscription(service="shop", major=1, name="paid", group=group, member=member, **more)


class Inbox:
    """A consumer. `verdict` says what becomes of each delivery at once; None: it stays unsettled."""

    def __init__(self, verdict: Callable[[Delivery], Verdict | None] = lambda _delivery: ACK) -> None:
        self._verdict = verdict
        self.deliveries: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        verdict = self._verdict(delivery)
        if verdict is not None:
            delivery.settle(verdict)

    @property
    def ids(self) -> list[str]:
        """Ids of the events in the order of their deliveries."""
        return [delivery.event.id for delivery in self.deliveries]
