"""What one node is due: its fan-out events, one copy each, numbered so that a loss shows, and its deliveries from groups.

A session outlives the stream it is told over by a moment, so that a connection that breaks loses no delivery. What waits
for fan-out is bounded; the oldest goes, and the node sees by the numbers how many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .entry import Given, nothing
from .group import GroupQueue
from .member import Member
from .parcel import Parcel, Topic

QUEUE_BYTES = 8 << 20
"""Bytes of bodies that wait for one node (RELIABILITY C2: fan-out queue)."""
LIGHT = 256
"""What an event weighs in a batch beside its body: its envelope, about."""


class Feed:
    """One topic that a node follows. `number` is that of the last event for it."""

    __slots__ = ("index", "number", "session", "topic")

    def __init__(self, session: Session, index: int, topic: Topic) -> None:
        self.session, self.index, self.topic = session, index, topic
        self.number = 0


class Told(NamedTuple):
    """One fan-out event for one node."""

    feed: Feed
    number: int
    parcel: Parcel


class Session:
    """One node. `born` tells it from one of the same name before it; `ready` is called when something is there to take."""

    def __init__(self, name: str, born: int, most: int) -> None:
        self.name, self.born, self._most = name, born, most
        self.feeds: dict[int, Feed] = {}
        self.members: dict[int, Member] = {}
        self.groups: dict[int, GroupQueue] = {}  # of members that left too: what they have may still be settled
        self.is_attached = False
        self.stream = 0
        self.dropped = 0
        self.cancel_end: Callable[[], None] = nothing
        self._ready: Callable[[], None] = nothing
        self._told: deque[Told] = deque()
        self._given: deque[Given] = deque()
        self._bytes = 0

    # ---- the node's stream -----------------------------------------------------------------------------------------
    def attach(self, ready: Callable[[], None]) -> int:
        """From now on `ready` is called. The number that `detach` takes: a newer stream takes over from an older one."""
        self.cancel_end()
        self.stream += 1
        self.is_attached, self._ready = True, ready
        for member in self.members.values():
            member.group.wake()
        if not self.is_empty:
            ready()
        return self.stream

    def detach(self, stream: int) -> bool:
        """The stream of this number is over; False: another one has taken over."""
        if stream != self.stream or not self.is_attached:
            return False
        self.is_attached, self._ready = False, nothing
        return True

    def give_again(self, held: frozenset[int]) -> None:
        """Deliveries that were under way when a stream broke; the node has those with tokens in `held`."""
        waiting = {given.token for given in self._given}
        for member in self.members.values():
            for given in member.unsettled.values():
                if given.is_out and given.token not in held and given.token not in waiting:
                    self.give(given)

    # ---- what waits ------------------------------------------------------------------------------------------------
    @property
    def is_empty(self) -> bool:
        """Nothing waits."""
        return not self._told and not self._given

    def tell(self, feed: Feed, parcel: Parcel) -> None:
        """One fan-out event; the oldest go where there is no room."""
        first = self.is_empty
        feed.number += 1
        self._told.append(Told(feed, feed.number, parcel))
        self._bytes += len(parcel.event.body)
        while len(self._told) > self._most or (self._bytes > QUEUE_BYTES and len(self._told) > 1):
            self._bytes -= len(self._told.popleft().parcel.event.body)
            self.dropped += 1
        if first:
            self._ready()

    def give(self, given: Given) -> None:
        """One delivery of a group; their number is bounded by the members' concurrency."""
        first = self.is_empty
        self._given.append(given)
        if first:
            self._ready()

    def take(self, most: int) -> tuple[list[Told], list[Given]]:
        """What comes next, `most` bytes at most, or one event."""
        told: list[Told] = []
        given: list[Given] = []
        while self._given and most > 0:
            found = self._given.popleft()
            if not found.over:
                given.append(found)
                most -= LIGHT + len(found.entry.parcel.event.body)
        while self._told and most > 0:
            each = self._told.popleft()
            size = len(each.parcel.event.body)
            self._bytes -= size
            told.append(each)
            most -= LIGHT + size
        return told, given

    def close(self) -> None:
        """The node is gone: what it had goes back to the groups."""
        self.cancel_end()
        self.is_attached, self._ready = False, nothing
        self._told.clear()
        self._given.clear()
        for member in self.members.values():
            member.close()
        self.members.clear()
