"""One delivery to a member of a group, and what the server says of it in the subject that it is acknowledged by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from vyked_host.contracts import Event, Verdict

ID = "Nats-Msg-Id"
"""The header by which a stream knows a message again."""
OLD_PARTS, NEW_PARTS = 9, 11


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a message is in the stream, and how often it was delivered. `number` counts deliveries of the consumer; `pending` are
    those that wait after this one."""

    consumer: str
    deliveries: int
    sequence: int
    number: int
    pending: int


def place_of(reply: str) -> Place:
    """Out of ``$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<number>.<time>.<pending>``, or the same with a domain and an
    account before the stream. Raises ValueError."""
    parts = reply.split(".")
    if len(parts) == OLD_PARTS:
        consumer, deliveries, sequence, number, _, pending = parts[3:]
    elif len(parts) >= NEW_PARTS:
        consumer, deliveries, sequence, number, _, pending = parts[5:11]
    else:
        raise ValueError(f"{reply!r} is no subject to acknowledge by")
    return Place(consumer, int(deliveries), int(sequence), int(number), int(pending))


def time_of(reply: str) -> int:
    """When the message of such a subject was stored: nanoseconds since 1970, by the clock of the server."""
    parts = reply.split(".")
    return int(parts[7 if len(parts) == OLD_PARTS else 9])


class GroupDelivery(msgspec.Struct, eq=False):
    """`contracts.Delivery`. `fresh_until` (monotonic seconds): then the server gives it to somebody else; `told` is its member's."""

    event: Event
    reply: str
    sequence: int
    count: int
    fresh_until: float
    told: Callable[[GroupDelivery, Verdict], Awaitable[None]]
    held_until: float = 0.0
    gap: int = 0
    settled: bool = False

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Awaiting: the server knows. Raises UsageError when it was settled before."""
        return self.told(self, verdict)
