"""Cases for buses that keep jobs for one group. Part of the suite for buses."""

from __future__ import annotations

from typing import Any

import pytest

from ...contracts import Delivery, Environment, Guarantees, KnowsLag, PubSub, Subscription, Verdict
from ...errors import NotSupported
from .. import waiting
from ..waiting import comes_to, eventually
from .cases import needs
from .events import ACK, Inbox, event
from .suite import Suite

JOB = "work-pack"


def taker(member: str, group: str = "shop@1", **more: Any) -> Subscription:
    """A subscription to the queue shop.pack."""
    return Subscription(service="shop", major=1, name=JOB, group=group, member=member, **more)


class Queues(Suite):
    """`bus` and `publish` are those of PubSubConformance."""

    @needs("queues")
    async def test_jobs_wait_for_the_first_who_takes_them(
        self, bus: PubSub, publish: Any, guarantees: Guarantees
    ) -> None:
        sent = [(await publish(event(JOB))).id for _ in range(5)]
        if isinstance(bus, KnowsLag):
            await comes_to([("shop@1", 0, 5)], lambda: _waiting(bus))
        inbox = Inbox()
        await bus.subscribe(taker("m"), inbox)
        await eventually(lambda: len(inbox.ids) == 5)
        assert sorted(inbox.ids) == sorted(sent)

    @needs("queues")
    async def test_a_job_is_done_by_one_of_those_who_take_them(
        self, bus: PubSub, publish: Any, guarantees: Guarantees
    ) -> None:
        inboxes = [Inbox(), Inbox()]
        for at, inbox in enumerate(inboxes):
            await bus.subscribe(taker(f"m{at}"), inbox)
        sent = [(await publish(event(JOB))).id for _ in range(100)]
        await eventually(lambda: sum(len(inbox.ids) for inbox in inboxes) == 100)
        assert sorted(inboxes[0].ids + inboxes[1].ids) == sorted(sent)

    @needs("queues")
    async def test_nobody_else_may_take_jobs(self, bus: PubSub, guarantees: Guarantees) -> None:
        with pytest.raises(NotSupported):
            await bus.subscribe(taker("m", group="books@1"), Inbox())

    @needs("queues", "dedupe_s")
    async def test_a_job_that_is_enqueued_again_under_its_id_is_done_once(
        self, bus: PubSub, publish: Any, guarantees: Guarantees, env: Environment
    ) -> None:
        inbox = Inbox()
        await bus.subscribe(taker("m"), inbox)
        job = await publish(event(JOB, named=True))
        await eventually(lambda: inbox.ids)
        await publish(job)
        last = await publish(event(JOB, named=True))
        await eventually(lambda: last.id in inbox.ids)
        assert inbox.ids == [job.id, last.id]

    @needs("queues", "delays")
    async def test_a_job_is_held_back_until_it_is_due(
        self, bus: PubSub, publish: Any, guarantees: Guarantees, env: Environment
    ) -> None:
        due = env.clock.unix() + 0.6
        came: dict[str, float] = {}

        def done(delivery: Delivery) -> Verdict:
            came.setdefault(delivery.event.id, env.clock.unix())
            return ACK

        inbox = Inbox(done)
        later = await publish(event(JOB, not_before_unix_s=due))
        await bus.subscribe(taker("m"), inbox)
        now = await publish(event(JOB, not_before_unix_s=env.clock.unix() - 1))
        await eventually(lambda: len(inbox.ids) == 2, 2 * waiting.WITHIN_S)
        assert inbox.ids == [now.id, later.id]
        assert came[later.id] >= due - 0.01  # clocks of the host and of a server, in milliseconds
        assert inbox.deliveries[1].count == 1


async def _waiting(bus: KnowsLag) -> list[tuple[str, int, int]]:
    return [(each.group, each.members, each.waiting) for each in await bus.lag()]
