"""What this node subscribes to. Each topic is followed once, however many handlers there are here, and fanned out here; each
handler of a group is a member of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from ....contracts import Consumer, Delivery, Environment, Event, Subscription, Verdict
from ....errors import LocalProtocolError
from ....routing.backlog import UNKNOWN, Backlog
from .letters import Wanted
from .parcel import Topic
from .seen import Seen

RECENT = 10_000
"""Fan-out events whose ids a node remembers: one that was published again to another holder is told once."""
AGAIN = Verdict(action="retry")


class Post(Protocol):
    """The way to the broker, whoever holds the hub."""

    def settle(self, delivery: GroupDelivery, verdict: Verdict) -> Awaitable[None]:
        """Tell what became of a delivery."""
        ...

    def pause(self, index: int) -> None:
        """Nothing new for this subscription."""

    async def leave(self, index: int) -> None:
        """End this subscription."""

    async def pending(self, index: int) -> int:
        """Events that wait for the group of this subscription, -1 when nobody can say now."""
        ...


class GroupDelivery:
    """`contracts.Delivery`, at least once. `born` names the session it came in."""

    __slots__ = ("_member", "_settled", "born", "count", "event", "gap", "token")

    def __init__(self, member: GroupConsumer, born: int, token: int, count: int, event: Event) -> None:
        self._member, self.born, self.token, self.count, self.event = member, born, token, count, event
        self.gap, self._settled = 0, False

    @property
    def index(self) -> int:
        """The subscription it is for."""
        return self._member.wanted.index

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Say what became of it. Raises LocalProtocolError when it was settled before."""
        if self._settled:
            raise LocalProtocolError(f"event {self.event.id} was settled before")
        self._settled = verdict.action != "extend"
        return self._member.post.settle(self, verdict)


class GroupConsumer:
    """One member of a group: the `contracts.Consumer` that its handler's subscription holds."""

    def __init__(self, inbox: Inbox, post: Post, wanted: Wanted, deliver: Callable[[Delivery], None]) -> None:
        self._inbox, self.post, self.wanted, self.deliver = inbox, post, wanted, deliver
        self.is_paused = False

    def pause(self) -> None:
        """Get nothing new: the others of the group take over."""
        self.is_paused = True
        self.post.pause(self.wanted.index)

    async def pending(self) -> int:
        """Events of the group that wait."""
        return await self.post.pending(self.wanted.index)

    async def aclose(self) -> None:
        """Leave; what was not settled goes back. Idempotent."""
        self.is_paused = True
        if self._inbox.remove(self.wanted.index):
            await self.post.leave(self.wanted.index)


class LocalFeed:
    """One topic that this node follows. `last` is the number of the last event that came; `is_followed`: the broker knows
    of it, so that something could be lost."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted, self.last, self.is_followed = wanted, 0, False
        self.backlogs: tuple[FanOutConsumer, ...] = ()

    def told(self, number: int, event: Event) -> None:
        """One event; those whose numbers are missing are lost."""
        if number > self.last + 1:
            self.missed(number - self.last - 1)
        self.last = number
        for backlog in self.backlogs:
            backlog.accept(event)

    def missed(self, lost: int) -> None:
        """So many did not come; the handlers are told with their next event."""
        for backlog in self.backlogs:
            backlog.missed(lost)


class FanOutConsumer(Backlog):
    """One @subscribe handler's queue, which leaves its topic when it is closed."""

    def __init__(
        self, inbox: Inbox, post: Post, feed: LocalFeed, subscription: Subscription, most: int,
        deliver: Callable[[Delivery], None], failed: Callable[[Event], None],
    ) -> None:  # fmt: skip
        super().__init__(subscription.concurrency, most, deliver, _stay, failed)
        self._inbox, self._post, self._feed = inbox, post, feed

    async def aclose(self) -> None:
        """Forget the handler and what waits for it. Idempotent."""
        await super().aclose()
        if self._inbox.unfollow(self._feed, self):
            await self._post.leave(self._feed.wanted.index)


class Inbox:
    """The subscriptions of one node."""

    def __init__(self, env: Environment, post: Post, queue: int) -> None:
        self._env, self._post, self._queue = env, post, queue
        self._indexes = itertools.count(1)
        self._topics: dict[Topic, LocalFeed] = {}
        self._feeds: dict[int, LocalFeed] = {}
        self._members: dict[int, GroupConsumer] = {}
        self._recent = Seen(RECENT)
        self.born = 0

    # ---- subscriptions -----------------------------------------------------------------------------------------------
    def add(
        self, subscription: Subscription, deliver: Callable[[Delivery], None], kind: type[FanOutConsumer] | None = None
    ) -> tuple[Consumer, Wanted]:  # fmt: skip
        """One more handler, and what to ask the broker for."""
        topic = Topic(subscription.service, subscription.major, subscription.name)
        if subscription.group is not None:
            wanted = self._wanted(subscription)
            member = self._members[wanted.index] = GroupConsumer(self, self._post, wanted, deliver)
            return member, wanted
        feed = self._topics.get(topic)
        if feed is None:
            feed = self._topics[topic] = LocalFeed(self._wanted(subscription))
            self._feeds[feed.wanted.index] = feed
        backlog = (kind or FanOutConsumer)(self, self._post, feed, subscription, self._queue, deliver, self._not_taken)
        feed.backlogs += (backlog,)
        return backlog, feed.wanted

    def _wanted(self, asked: Subscription) -> Wanted:
        return Wanted(
            next(self._indexes), asked.service, asked.major, asked.name, asked.group, asked.member, asked.strategy,
            asked.concurrency,
        )  # fmt: skip

    def remove(self, index: int) -> bool:
        """A member leaves; False: it had left."""
        return self._members.pop(index, None) is not None

    def unfollow(self, feed: LocalFeed, backlog: FanOutConsumer) -> bool:
        """A handler leaves a topic; True: nobody here follows it any more."""
        if backlog not in feed.backlogs:
            return False
        feed.backlogs = tuple(each for each in feed.backlogs if each is not backlog)
        if feed.backlogs:
            return False
        del self._topics[next(topic for topic, each in self._topics.items() if each is feed)]
        del self._feeds[feed.wanted.index]
        return True

    def wanted(self) -> list[Wanted]:
        """All of it, to be subscribed anew."""
        members = [_paused(each.wanted) if each.is_paused else each.wanted for each in self._members.values()]
        return [feed.wanted for feed in self._feeds.values()] + members

    def begin(self, born: int, *, told_all: bool) -> None:
        """The session `born` begins. `told_all`: nothing was lost between the one before and this one."""
        self.born = born
        for feed in self._feeds.values():
            feed.last = 0
            if feed.is_followed and not told_all:
                feed.missed(UNKNOWN)
            feed.is_followed = True

    def followed(self, index: int) -> None:
        """The broker knows of this subscription."""
        feed = self._feeds.get(index)
        if feed is not None:
            feed.is_followed = True

    # ---- what comes --------------------------------------------------------------------------------------------------
    def told(self, index: int, first: int, events: Iterable[Event]) -> None:
        """Fan-out events in a row; `first` is the number of the first."""
        feed, now = self._feeds.get(index), self._env.clock.now()
        if feed is None:
            return
        for number, event in enumerate(events, first):
            if self._recent.add(f"{event.id} {index}", now):
                feed.told(number, event)
            else:
                feed.last = max(feed.last, number)

    def handed(self, index: int, token: int, count: int, event: Event) -> GroupDelivery:
        """One delivery to a member."""
        member = self._members.get(index)
        if member is None or member.is_paused:
            delivery = GroupDelivery(
                GroupConsumer(self, self._post, _gone(index), _drop), self.born, token, count, event
            )
            delivery.settle(AGAIN)  # it left meanwhile: somebody else's
            return delivery
        delivery = GroupDelivery(member, self.born, token, count, event)
        try:
            member.deliver(delivery)
        except Exception:  # noqa: BLE001 - logged; the event comes again after its ack wait, the others go on
            self._not_taken(event)
        return delivery

    def _not_taken(self, event: Event) -> None:
        self._env.log.exception("a consumer could not take event %s of %s.%s", event.id, event.service, event.name)


def _paused(wanted: Wanted) -> Wanted:
    return Wanted(
        wanted.index, wanted.service, wanted.major, wanted.name, wanted.group, wanted.member, wanted.strategy,
        wanted.concurrency, paused=True,
    )  # fmt: skip


def _gone(index: int) -> Wanted:
    return Wanted(index, "", 0, "", "", "", "any", 1)


def _drop(_delivery: Delivery) -> None:
    """Nobody is there."""


def _stay(_backlog: Backlog) -> None:
    """Leaving is this consumer's own business."""
