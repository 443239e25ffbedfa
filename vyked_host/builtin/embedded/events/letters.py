"""What travels between a node and the desk: msgpack arrays, fields may be added at their ends (docs/wire-protocol.md)."""

from __future__ import annotations

from typing import Literal

import msgspec

from ....contracts import Code, Subscription, Verdict
from ....model.description import Strategy
from .entry import State

BATCH_BYTES = 256 << 10
"""A batch has so many bytes at most, or one event."""


class Letter(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An event to publish: packed, and the seconds that its publisher still waits."""

    packed: bytes
    within: float


class Refusal(msgspec.Struct, array_like=True, frozen=True):
    """Why an event is not accepted. `again`: by this holder, for the moment."""

    code: Code
    text: str
    again: bool = False
    retry_after: float | None = None


class Taken(msgspec.Struct, array_like=True, frozen=True):
    """So many of a batch, from its start, are accepted, and the next one is refused where `refused` says so. The rest was
    not looked at."""

    accepted: int
    refused: Refusal | None = None


class Wanted(msgspec.Struct, array_like=True, frozen=True):
    """One subscription of a node, under its number there. `paused`: what it has may be settled, nothing new comes."""

    index: int
    service: str
    major: int
    name: str
    group: str | None
    member: str
    strategy: Strategy
    concurrency: int
    paused: bool = False

    def subscription(self) -> Subscription:
        """The same, as contracts have it."""
        return Subscription(
            service=self.service, major=self.major, name=self.name, group=self.group, member=self.member,
            strategy=self.strategy, concurrency=self.concurrency,
        )  # fmt: skip


class Joined(msgspec.Struct, array_like=True, frozen=True):
    """A node's session: `born` names it. `refused` has the reasons by subscription."""

    born: int
    refused: dict[int, str]


class Run(msgspec.Struct, array_like=True, frozen=True):
    """Fan-out events of one topic in a row, packed; `first` is the number of the first."""

    index: int
    first: int
    events: list[bytes]


class Handed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One delivery to a member of a group."""

    index: int
    token: int
    count: int
    packed: bytes


class Heirloom(msgspec.Struct, array_like=True, frozen=True):
    """One event of one group, for the next holder. `packed` None: the group alone. `seconds`: until something is due."""

    service: str
    major: int
    name: str
    group: str
    strategy: Strategy
    packed: bytes | None = None
    count: int = 0
    state: State = "waiting"
    seconds: float = 0.0
    cause: str = ""


class Succession(msgspec.Struct, array_like=True, frozen=True):
    """What the next holder has to know before it accepts anything: the sessions to wait for, and the groups that events are
    kept for, also where nobody of theirs is there now."""

    roster: list[str] = []
    groups: list[Heirloom] = []


class Batch(msgspec.Struct, array_like=True, frozen=True):
    """What a node gets at once. `state` says why a stream ends: "again" (its time is up: attach again), "lost" (the session
    is not known: join again), "moving" (the holder gives up the hub; everything was told). `succession` without a state has
    the groups alone: the holder may be gone before it can say more."""

    runs: list[Run]
    handed: list[Handed]
    state: str = ""
    succession: Succession | None = None


class Settlement(msgspec.Struct, array_like=True, frozen=True):
    """What became of one delivery; `token` 0: of an earlier term, known by the event's id."""

    token: int
    index: int
    event_id: str
    action: Literal["ack", "retry", "reject", "extend"]
    seconds: float = 0.0
    cause: str = ""

    def verdict(self) -> Verdict:
        """The same, as contracts have it."""
        return Verdict(action=self.action, seconds=self.seconds, cause=self.cause)


class DeadLetter(msgspec.Struct, array_like=True, frozen=True):
    """One dead letter."""

    packed: bytes
    cause: str
    count: int
