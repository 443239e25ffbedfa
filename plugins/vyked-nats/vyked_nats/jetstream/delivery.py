"""One delivery to a member of a group, and what the server says of it in the subject that it is acknowledged by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from vyked_host.contracts import Event, Verdict

ID = "Nats-Msg-Id"
"""The header by which a stream knows a message again."""
OLD_PARTS, NEW_PARTS = 9, 11


class Place(NamedTuple):
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


class GroupDelivery:
    """`contracts.Delivery`. `fresh_until` (monotonic seconds): then the server gives it to somebody else."""

    __slots__ = ("_settle", "count", "event", "fresh_until", "gap", "held_until", "reply", "sequence", "settled")

    def __init__(
        self, event: Event, reply: str, sequence: int, count: int, fresh_until: float,
        settle: Callable[[GroupDelivery, Verdict], Awaitable[None]],
    ) -> None:  # fmt: skip
        self.event, self.reply, self.sequence, self.count = event, reply, sequence, count
        self.fresh_until, self.held_until = fresh_until, 0.0
        self.gap, self.settled, self._settle = 0, False, settle

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Awaiting: the server knows. Raises UsageError when it was settled before."""
        return self._settle(self, verdict)
