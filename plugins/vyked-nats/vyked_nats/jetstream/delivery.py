"""One delivery to a member of a group, what is said of it, and what the server says of it in the subject that it is acknowledged by."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from math import inf
from typing import Protocol

import msgspec

from vyked_host.contracts import Event, Settlement, Verdict

ID = "Nats-Msg-Id"
"""The header by which a stream knows a message again."""
OLD_PARTS, NEW_PARTS = 9, 11
ACK = b"+ACK"


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


def first_of(stream: str, consumer: str) -> re.Pattern[bytes]:
    """Such a subject of the first delivery, where neither domain nor account are named."""
    return re.compile(rb"\$JS\.ACK\.%b\.1(?:\.[0-9]+){4}" % re.escape(f"{stream}.{consumer}".encode()))


def time_of(reply: str) -> int:
    """When the message of such a subject was stored: nanoseconds since 1970, by the clock of the server."""
    parts = reply.split(".")
    return int(parts[7 if len(parts) == OLD_PARTS else 9])


class Word(Settlement, eq=False, kw_only=True):
    """One thing to say of a delivery, and what becomes of that. `answer_to` is the subject to say it to, as it came; after `until`
    (monotonic) it would be misunderstood."""

    answer_to: bytes
    payload: bytes = ACK
    until: float = inf

    @property
    def reply(self) -> str:
        """The subject in words."""
        return self.answer_to.decode("utf-8", "surrogateescape")


class Settles(Protocol):
    """Whose a delivery is."""

    def settle(self, delivery: GroupDelivery, verdict: Verdict) -> Awaitable[None]:
        """The consumer has decided."""
        ...


class GroupDelivery(Word, eq=False, kw_only=True):
    """`contracts.Delivery`, and what is said of it in the end. `fresh_until` (monotonic seconds): then the server gives it to somebody
    else."""

    member: Settles
    event: Event
    count: int
    fresh_until: float
    held_until: float = 0.0
    gap: int = 0
    settled: bool = False

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Awaiting: the server knows. Raises UsageError when it was settled before."""
        return self.member.settle(self, verdict)
