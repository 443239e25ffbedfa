"""Cases for buses that operators ask for: what is published twice, how far groups are behind. Part of the suite for buses."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest

from ...contracts import Environment, GroupLag, Guarantees, KnowsLag, PubSub, Verdict
from ...errors import NotSupported
from ..waiting import comes_to, eventually
from .cases import NOT_DECLARED, needs
from .events import ACK, Inbox, event, to
from .suite import Suite

HOUR_S = 3600.0


class Operations(Suite):
    """`bus` and `publish` are those of PubSubConformance."""

    # ---- published again -----------------------------------------------------------------------------------------------
    @needs("dedupe_s")
    async def test_what_is_published_again_under_its_id_is_accepted_and_goes_to_nobody(
        self, bus: PubSub, publish: Any, guarantees: Guarantees
    ) -> None:
        inboxes: dict[str | None, Inbox] = {None: Inbox()} if guarantees.fan_out else {}
        inboxes |= {"g": Inbox()} if guarantees.at_least_once else {}
        for to_whom, inbox in inboxes.items():
            await bus.subscribe(to(to_whom, "m"), inbox)
        first = await publish(event(named=True))
        for inbox in inboxes.values():
            await eventually(partial(_has, inbox, first.id))
        await publish(first)
        await publish(msgspec.structs.replace(first, body=b"[]"))  # it is known by its id, whatever it says
        last = await publish(event(named=True))
        for inbox in inboxes.values():
            await eventually(partial(_has, inbox, last.id))
            assert sorted(inbox.ids) == sorted([first.id, last.id])

    @needs("dedupe_s")
    async def test_an_id_is_known_for_its_topic_alone(self, bus: PubSub, publish: Any, guarantees: Guarantees) -> None:
        inbox, group = Inbox(), None if guarantees.fan_out else "g"
        await bus.subscribe(to(group, "m"), inbox)
        other = await publish(event("refunded", named=True))
        same = await publish(msgspec.structs.replace(event(named=True), id=other.id))
        await eventually(lambda: inbox.ids)
        assert inbox.ids == [same.id]

    # ---- replay ------------------------------------------------------------------------------------------------------------
    @needs("replay")
    async def test_a_replay_goes_on_after_an_event_and_never_ends(
        self, bus: PubSub, publish: Any, guarantees: Guarantees
    ) -> None:
        sent = [(await publish(event())).id for _ in range(5)]
        inbox = Inbox()
        try:
            await bus.subscribe(to(None, "m", since=sent[1]), inbox)
        except NotSupported:
            pytest.skip("it does not find events by their ids")
        await eventually(partial(_has, inbox, sent[-1]))
        last = (await publish(event())).id
        await eventually(partial(_has, inbox, last))
        assert inbox.ids == [*sent[2:], last]

    @needs("replay")
    async def test_a_replay_of_a_long_past_waits_for_a_slow_subscriber(
        self, bus: PubSub, publish: Any, guarantees: Guarantees
    ) -> None:
        sent = [(await publish(event())).id for _ in range(2500)]
        slow = Inbox(lambda _delivery: None)
        await bus.subscribe(to(None, "m", since="0", concurrency=1), slow)
        for at in range(len(sent)):
            await eventually(partial(_more_than, slow, at))
            await slow.deliveries[at].settle(ACK)
        assert slow.ids == sent
        assert all(each.gap == 0 for each in slow.deliveries)

    @needs("replay")
    async def test_a_replay_from_a_time_leaves_out_what_was_before(
        self, bus: PubSub, publish: Any, guarantees: Guarantees, env: Environment
    ) -> None:
        await publish(event(published=env.clock.unix()))
        began = env.clock.unix()
        await eventually(lambda: int(env.clock.unix() * 1000) > int(began * 1000) + 1)
        since = str(int(env.clock.unix() * 1000))
        after = await publish(event(published=env.clock.unix()))
        inbox = Inbox()
        await bus.subscribe(to(None, "m", since=since), inbox)
        await eventually(lambda: inbox.ids)
        assert inbox.ids == [after.id]

    @needs("replay")
    async def test_a_replay_from_an_event_that_is_not_there_is_refused(
        self, bus: PubSub, publish: Any, guarantees: Guarantees
    ) -> None:
        await publish(event())
        with pytest.raises(NotSupported):
            await bus.subscribe(to(None, "m", since="no-such-event"), Inbox())

    # ---- how far groups are behind -----------------------------------------------------------------------------------------
    async def test_it_says_how_far_each_group_is_behind(
        self, bus: PubSub, publish: Any, guarantees: Guarantees, env: Environment
    ) -> None:
        if not isinstance(bus, KnowsLag):
            pytest.skip(f"{NOT_DECLARED}KnowsLag")
        assert isinstance(bus, KnowsLag)
        slow, gone = Inbox(lambda _delivery: None), Inbox()
        await (await bus.subscribe(to("away", "m"), gone)).aclose()
        await bus.subscribe(to("slow", "m", concurrency=2), slow)
        for _ in range(5):
            await publish(event(published=env.clock.unix()))
        await eventually(lambda: len(slow.ids) == 2)
        await comes_to([("away", 0, 5, 0, 0), ("slow", 1, 3, 2, 0)], lambda: _told(bus))
        away, behind = await _lag(bus)
        assert (behind.service, behind.major, behind.name) == ("shop", 1, "paid")
        assert 0 <= away.oldest_s < HOUR_S
        assert 0 <= behind.oldest_s < HOUR_S
        assert [each.group for each in await bus.lag(frozenset({"slow"}))] == ["slow"]

    async def test_what_is_settled_is_not_behind_any_more(
        self, bus: PubSub, publish: Any, guarantees: Guarantees
    ) -> None:
        if not isinstance(bus, KnowsLag):
            pytest.skip(f"{NOT_DECLARED}KnowsLag")
        assert isinstance(bus, KnowsLag)
        verdicts = iter([ACK, Verdict(action="retry", seconds=HOUR_S), Verdict(action="reject", cause="poison")])
        inbox = Inbox(lambda _delivery: None)
        await bus.subscribe(to("g", "m"), inbox)
        for _ in range(3):
            await publish(event())
        await eventually(lambda: len(inbox.ids) == 3)
        for delivery in inbox.deliveries:
            await delivery.settle(next(verdicts))
        wanted = (1, 0, int(guarantees.dead_letter))
        await comes_to(wanted, lambda: _counts(bus))


async def _counts(bus: KnowsLag) -> tuple[int, int, int]:
    (found,) = await _lag(bus)
    return found.waiting, found.in_flight, found.dead


async def _told(bus: KnowsLag) -> list[tuple[str, int, int, int, int]]:
    return [(each.group, each.members, each.waiting, each.in_flight, each.dead) for each in await _lag(bus)]


async def _lag(bus: KnowsLag) -> list[GroupLag]:
    return sorted(await bus.lag(), key=lambda each: each.group)


def _more_than(inbox: Inbox, count: int) -> bool:
    return len(inbox.deliveries) > count


def _has(inbox: Inbox, event_id: str) -> bool:
    return event_id in inbox.ids
