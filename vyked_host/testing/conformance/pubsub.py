"""The suite for buses. What is tested is what the provider says it gives: `Guarantees` decides which tests run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ...contracts import (
    DeadLetters,
    Delivery,
    EndsGroups,
    Environment,
    Event,
    Guarantees,
    KnowsGroups,
    Provider,
    PubSub,
    Verdict,
)
from ...errors import CallError, NotSupported
from .. import waiting
from ..surroundings import environment
from ..waiting import eventually
from .cases import REFUSED, declares, needs
from .envelopes import Envelopes
from .event_model import Subject, Surroundings
from .events import ACK as ACK
from .events import Inbox as Inbox
from .events import event as event
from .events import to as to
from .faulted import UnderFaults
from .histories import Histories
from .operations import Operations
from .queues import Queues

HISTORIES = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), database=None,
    phases=[Phase.generate],  # a lost event shows by waiting for it: making such a history shorter would take minutes
)  # fmt: skip


UNDECLARED = {
    "fan_out": to(None, "m"),
    "at_least_once": to("g", "m"),
    "replay": to(None, "m", since="0"),
    **{f"strategies.{each}": to("g", "m", strategy=each) for each in ("any", "leader", "random", "keyed")},
}
"""What has to be refused with NotSupported where the guarantee is not declared."""


@pytest.mark.asyncio
class PubSubConformance(Operations, Queues, Envelopes, UnderFaults):
    """Inherit, and write the fixture `provider`; `options` with a short ack wait, told in `ack_wait_s` (seconds). `surroundings`
    makes an Environment for each history that is tried."""

    ack_wait_s: ClassVar[float] = 30.0
    surroundings: ClassVar[Surroundings] = staticmethod(environment)

    @pytest_asyncio.fixture
    async def bus(self, provider: Provider[PubSub], options: msgspec.Struct, env: Environment) -> AsyncIterator[PubSub]:
        """The object under test."""
        bus = provider.build(options, env)
        yield bus
        await bus.aclose()

    @pytest.fixture
    def publish(self, bus: PubSub, env: Environment) -> Callable[[Event], Any]:
        """Publishes one event and waits until the bus has it."""

        async def publish(event: Event) -> Event:
            await bus.publish(event, deadline=env.clock.now() + waiting.WITHIN_S)
            return event

        return publish

    # ---- fan-out -----------------------------------------------------------------------------------------------------
    @needs("fan_out")
    async def test_every_subscriber_gets_every_event_whole(self, bus: PubSub, publish: Any) -> None:
        inboxes = [Inbox(), Inbox(), Inbox()]
        for at, inbox in enumerate(inboxes):
            await bus.subscribe(to(None, f"m{at}"), inbox)
        sent = [await publish(event(key=f"k{at}", body=bytes([at]))) for at in range(50)]
        await eventually(lambda: all(len(inbox.ids) == 50 for inbox in inboxes))
        for inbox in inboxes:
            assert sorted(inbox.ids) == sorted(each.id for each in sent)
            assert {delivery.event.id: delivery.event for delivery in inbox.deliveries} == {
                each.id: each for each in sent
            }
            assert all(delivery.count == 1 and delivery.gap == 0 for delivery in inbox.deliveries)

    @needs("fan_out", "ordered.publisher")
    async def test_events_of_one_publisher_come_in_order(self, bus: PubSub, publish: Any) -> None:
        inbox = Inbox()
        await bus.subscribe(to(None, "m"), inbox)
        sent = [(await publish(event())).id for _ in range(200)]
        await eventually(lambda: len(inbox.ids) == 200)
        assert inbox.ids == sent

    @needs("fan_out")
    async def test_topics_and_majors_are_apart(self, bus: PubSub, publish: Any) -> None:
        inbox = Inbox()
        await bus.subscribe(to(None, "m"), inbox)
        await publish(event("refunded"))
        await publish(event(service="other"))
        await publish(msgspec.structs.replace(event(), version="2.0.0"))
        wanted = await publish(event())
        await eventually(lambda: inbox.ids)
        assert inbox.ids == [wanted.id]

    @needs("fan_out")
    async def test_a_slow_subscriber_holds_up_nobody_and_is_told_what_it_missed(
        self, bus: PubSub, publish: Any
    ) -> None:
        slow, quick = Inbox(lambda _delivery: None), Inbox()
        await bus.subscribe(to(None, "slow", concurrency=1), slow)
        await bus.subscribe(to(None, "quick"), quick)
        for _ in range(3000):
            await publish(event())
        await eventually(lambda: sum(1 + each.gap for each in quick.deliveries) == 3000)
        assert len(slow.deliveries) == 1
        settled = 0
        while sum(1 + each.gap for each in slow.deliveries) < 3000:
            await eventually(partial(_more_than, slow, settled))
            await slow.deliveries[settled].settle(ACK)
            settled += 1
            await asyncio.sleep(0)
        assert all(each.gap >= 0 for each in slow.deliveries)

    @needs("fan_out")
    async def test_who_left_gets_nothing_more(self, bus: PubSub, publish: Any) -> None:
        gone, stays = Inbox(), Inbox()
        consumer = await bus.subscribe(to(None, "gone"), gone)
        await bus.subscribe(to(None, "stays"), stays)
        await consumer.aclose()
        await consumer.aclose()
        await publish(event())
        await eventually(lambda: stays.ids)
        assert gone.ids == []

    # ---- groups ------------------------------------------------------------------------------------------------------
    @needs("at_least_once")
    async def test_each_event_goes_to_one_member_of_each_group(self, bus: PubSub, publish: Any) -> None:
        groups = {"a": [Inbox(), Inbox(), Inbox()], "b": [Inbox()]}
        for group, inboxes in groups.items():
            for at, inbox in enumerate(inboxes):
                await bus.subscribe(to(group, f"{group}{at}"), inbox)
        sent = {(await publish(event())).id for _ in range(300)}
        for inboxes in groups.values():
            await eventually(partial(_have, inboxes, 300))
            counts = Counter(each for inbox in inboxes for each in inbox.ids)
            assert set(counts) == sent
            assert set(counts.values()) == {1}
        assert all(inbox.ids for inbox in groups["a"])

    @needs("at_least_once")
    async def test_no_more_than_concurrency_are_unsettled(self, bus: PubSub, publish: Any) -> None:
        inbox, later = Inbox(lambda _delivery: None), Inbox()
        await bus.subscribe(to("g", "m", concurrency=3), inbox)
        await bus.subscribe(to("h", "m"), later)
        for _ in range(10):
            await publish(event())
        await eventually(lambda: len(later.ids) == 10 and len(inbox.ids) == 3)
        for delivery in inbox.deliveries[:3]:
            await delivery.settle(ACK)
        await eventually(lambda: len(inbox.ids) == 6)

    @needs("at_least_once")
    async def test_a_retry_comes_again_after_its_delay_and_counts(
        self, bus: PubSub, publish: Any, env: Environment
    ) -> None:
        times: list[float] = []

        def verdict(delivery: Delivery) -> Verdict:
            times.append(env.clock.now())
            return ACK if delivery.count == 3 else Verdict(action="retry", seconds=0.1 * (delivery.count - 1))

        inbox = Inbox(verdict)
        await bus.subscribe(to("g", "m"), inbox)
        sent = await publish(event())
        await eventually(lambda: len(inbox.ids) == 3)
        assert [delivery.count for delivery in inbox.deliveries] == [1, 2, 3]
        assert set(inbox.ids) == {sent.id}
        assert times[2] - times[1] >= 0.1

    @needs("at_least_once")
    async def test_what_is_not_settled_in_time_goes_to_somebody_again(self, bus: PubSub, publish: Any) -> None:
        inbox = Inbox(lambda delivery: None if delivery.count == 1 else ACK)
        await bus.subscribe(to("g", "m"), inbox)
        await publish(event())
        await eventually(lambda: len(inbox.ids) == 2, self.ack_wait_s + waiting.WITHIN_S)
        assert inbox.deliveries[1].count == 2
        await inbox.deliveries[0].settle(ACK)  # late, and harmless

    @needs("at_least_once")
    async def test_what_a_member_leaves_behind_goes_to_another(self, bus: PubSub, publish: Any) -> None:
        first, second = Inbox(lambda _delivery: None), Inbox()
        leaving = await bus.subscribe(to("g", "first"), first)
        sent = await publish(event())
        await eventually(lambda: first.ids)
        await bus.subscribe(to("g", "second"), second)
        await leaving.aclose()
        await eventually(lambda: second.ids == [sent.id])
        assert second.deliveries[0].count == 2

    @needs("at_least_once")
    async def test_events_without_a_member_wait_for_one(self, bus: PubSub, publish: Any) -> None:
        inbox = Inbox()
        await (await bus.subscribe(to("g", "gone"), Inbox())).aclose()
        sent = [(await publish(event())).id for _ in range(5)]
        consumer = await bus.subscribe(to("g", "back"), inbox)
        await eventually(lambda: sorted(inbox.ids) == sorted(sent))
        assert await consumer.pending() in {0, -1}

    @needs("at_least_once")
    async def test_a_paused_member_gets_nothing_new_and_may_settle(self, bus: PubSub, publish: Any) -> None:
        paused, other = Inbox(lambda _delivery: None), Inbox()
        consumer = await bus.subscribe(to("g", "paused"), paused)
        await publish(event())
        await eventually(lambda: paused.ids)
        consumer.pause()
        await bus.subscribe(to("g", "other"), other)
        for _ in range(20):
            await publish(event())
        await eventually(lambda: len(other.ids) == 20)
        assert len(paused.ids) == 1
        await paused.deliveries[0].settle(ACK)

    @needs("at_least_once")
    async def test_more_time_can_be_asked_for(self, bus: PubSub, publish: Any, env: Environment) -> None:
        inbox = Inbox(lambda _delivery: None)
        await bus.subscribe(to("g", "m"), inbox)
        await publish(event())
        await eventually(lambda: inbox.ids)
        until = env.clock.now() + 2 * self.ack_wait_s
        await inbox.deliveries[0].settle(Verdict(action="extend", seconds=4 * self.ack_wait_s))
        await eventually(lambda: env.clock.now() > until, 2 * self.ack_wait_s + waiting.WITHIN_S)
        assert len(inbox.ids) == 1
        await inbox.deliveries[0].settle(ACK)

    # ---- strategies --------------------------------------------------------------------------------------------------
    @needs("strategies.leader")
    async def test_a_leader_gets_everything_until_it_leaves(self, bus: PubSub, publish: Any) -> None:
        inboxes = [Inbox(), Inbox()]
        consumers = [
            await bus.subscribe(to("g", f"m{at}", strategy="leader"), inbox) for at, inbox in enumerate(inboxes)
        ]
        for _ in range(30):
            await publish(event())
        await eventually(lambda: sum(len(inbox.ids) for inbox in inboxes) == 30)
        assert sorted(len(inbox.ids) for inbox in inboxes) == [0, 30]
        leader = 0 if inboxes[0].ids else 1
        await consumers[leader].aclose()
        await publish(event())
        await eventually(lambda: len(inboxes[1 - leader].ids) == 1)

    @needs("strategies.keyed")
    async def test_a_key_stays_with_one_member(self, bus: PubSub, publish: Any) -> None:
        inboxes = [Inbox() for _ in range(3)]
        for at, inbox in enumerate(inboxes):
            await bus.subscribe(to("g", f"m{at}", strategy="keyed"), inbox)
        for at in range(300):
            await publish(event(key=f"user-{at % 30}"))
        await eventually(lambda: sum(len(inbox.ids) for inbox in inboxes) == 300)
        owners = [{delivery.event.key for delivery in inbox.deliveries} for inbox in inboxes]
        assert sum(len(keys) for keys in owners) == 30
        assert all(owners)

    @needs("strategies.random")
    async def test_random_goes_to_everybody(self, bus: PubSub, publish: Any) -> None:
        inboxes = [Inbox() for _ in range(3)]
        for at, inbox in enumerate(inboxes):
            await bus.subscribe(to("g", f"m{at}", strategy="random"), inbox)
        for _ in range(300):
            await publish(event())
        await eventually(lambda: sum(len(inbox.ids) for inbox in inboxes) == 300)
        assert all(len(inbox.ids) > 40 for inbox in inboxes)

    @needs("strategies.any")
    async def test_any_goes_to_whoever_has_room(self, bus: PubSub, publish: Any) -> None:
        busy, free = Inbox(lambda _delivery: None), Inbox()
        await bus.subscribe(to("g", "busy", concurrency=1), busy)
        await bus.subscribe(to("g", "free"), free)
        for _ in range(30):
            await publish(event())
        await eventually(lambda: len(busy.ids) + len(free.ids) == 30)
        assert len(busy.ids) <= 1

    # ---- what is kept --------------------------------------------------------------------------------------------------
    @needs("replay")
    async def test_from_the_beginning_gives_what_was_there_before(self, bus: PubSub, publish: Any) -> None:
        sent = [(await publish(event())).id for _ in range(5)]
        late = Inbox()
        await bus.subscribe(to(None, "late", since="0"), late)
        await eventually(lambda: len(late.ids) == 5)
        sent.append((await publish(event())).id)
        await eventually(lambda: late.ids == sent)

    @needs("durability.process", "at_least_once")
    async def test_what_waits_for_a_group_is_there_for_the_next_process(
        self, provider: Provider[PubSub], options: msgspec.Struct, env: Environment
    ) -> None:
        before, inbox = provider.build(options, env), Inbox()
        await (await before.subscribe(to("g", "m"), Inbox())).aclose()
        sent = [event() for _ in range(5)]
        for each in sent:
            await before.publish(each, deadline=env.clock.now() + waiting.WITHIN_S)
        await before.aclose()
        same = {"folder": env.folder, "state_dir": env.state_dir, "namespace": env.namespace, "node_id": env.node_id}
        async with self.surroundings(**same) as later:
            after = provider.build(options, later)
            await after.subscribe(to("g", "m"), inbox)
            await eventually(lambda: sorted(inbox.ids) == sorted(each.id for each in sent))
            await after.aclose()

    async def test_what_is_not_declared_is_refused(
        self, bus: PubSub, guarantees: Guarantees, record_property: Callable[[str, object], None]
    ) -> None:
        for guarantee, subscription in UNDECLARED.items():
            may_miss = guarantee == "at_least_once" and guarantees.one_of_group
            if not declares(guarantees, guarantee) and not may_miss:
                with pytest.raises(NotSupported):
                    await bus.subscribe(subscription, Inbox())
                record_property(REFUSED, guarantee)
        if not guarantees.dead_letter:
            assert not isinstance(bus, DeadLetters), "it has the methods of DeadLetters, and declares none"
            record_property(REFUSED, "dead_letter")

    # ---- dead letters and bounds ---------------------------------------------------------------------------------------
    @needs("dead_letter")
    async def test_what_is_rejected_is_a_dead_letter_that_can_be_replayed_or_forgotten(
        self, bus: PubSub, publish: Any
    ) -> None:
        assert isinstance(bus, DeadLetters)
        inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
        subscription = to("g", "m")
        await bus.subscribe(subscription, inbox)
        one, other = await publish(event()), await publish(event())
        await eventually(lambda: len(inbox.ids) == 2)
        assert [each async for each in bus.dead(subscription)] == [(one, "poison", 1), (other, "poison", 1)]
        await bus.discard(one.id, replay=False)
        await bus.discard(other.id, replay=True)
        await eventually(lambda: len(inbox.ids) == 3)
        assert inbox.deliveries[2].count == 1
        await bus.discard(other.id, replay=False)
        assert [each async for each in bus.dead(subscription)] == []
        with pytest.raises(KeyError):
            await bus.discard(one.id, replay=False)

    @needs("dead_letter")
    async def test_dead_letters_are_found_wherever_they_are_and_forgotten_for_one_group_alone(
        self, bus: PubSub, publish: Any
    ) -> None:
        assert isinstance(bus, DeadLetters)
        assert await bus.letterboxes() == []
        inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
        for group in ("g", "h"):
            await bus.subscribe(to(group, "m"), inbox)
        one = await publish(event())
        await eventually(lambda: len(inbox.ids) == 2)
        boxes = await _letterboxes(bus, 2)
        assert boxes == [(to("g", ""), 1), (to("h", ""), 1)]
        await bus.discard(one.id, replay=False, group="h")
        assert await bus.letterboxes() == boxes[:1]
        with pytest.raises(KeyError):
            await bus.discard(one.id, replay=False, group="h")
        assert [found.id async for found, _, _ in bus.dead(boxes[0][0])] == [one.id]

    async def test_a_group_without_members_can_be_ended_with_all_that_waits_for_it(
        self, bus: PubSub, publish: Any
    ) -> None:
        if not isinstance(bus, EndsGroups):
            pytest.skip("the provider ends no groups")
        assert isinstance(bus, KnowsGroups)
        gone, stays = await bus.subscribe(to("g", "m"), Inbox(lambda _delivery: None)), Inbox()
        await bus.subscribe(to("h", "m"), stays)
        one = await publish(event())
        where = (one.service, 1, one.name)
        with pytest.raises(NotSupported):
            await bus.end_group(*where, "g")
        await gone.aclose()
        assert await _ended(bus, where, "g") >= 0
        with pytest.raises(KeyError):
            await bus.end_group(*where, "g")
        assert [group for group, _, _ in await bus.groups(*where)] == ["h"]
        await eventually(lambda: stays.ids == [one.id])

    async def test_an_event_over_the_limit_is_refused(self, bus: PubSub, publish: Any, guarantees: Guarantees) -> None:
        with pytest.raises(CallError):
            await publish(event(body=b"x" * (guarantees.max_message_bytes + 1)))

    async def test_any_history_keeps_the_promises(
        self, provider: Provider[PubSub], options: msgspec.Struct, guarantees: Guarantees
    ) -> None:
        subject = Subject(provider, options, guarantees, type(self).surroundings, self.ack_wait_s)
        machine = type("Machine", (Histories,), {"subject": subject})
        # in a thread: the machine has a loop of its own, one history after the other
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=HISTORIES)

    async def test_a_closed_bus_takes_nothing(self, bus: PubSub, publish: Any) -> None:
        await bus.aclose()
        await bus.aclose()
        with pytest.raises(CallError):
            await publish(event())


async def _ended(bus: EndsGroups, where: tuple[str, int, str], group: str) -> int:
    """End it once its last member counts as gone."""
    async with asyncio.timeout(30.0):
        while True:
            try:
                return await bus.end_group(*where, group)
            except NotSupported:
                await asyncio.sleep(0.05)


async def _letterboxes(bus: DeadLetters, count: int) -> list[tuple[Any, int]]:
    """Those there are once there are so many, by group: what was settled a moment ago may still be on its way."""
    async with asyncio.timeout(waiting.WITHIN_S):
        while len(found := await bus.letterboxes()) < count:  # noqa: ASYNC110 - nobody tells of them
            await asyncio.sleep(0.01)
    return sorted(found, key=lambda each: str(each[0].group))


def _more_than(inbox: Inbox, count: int) -> bool:
    return len(inbox.deliveries) > count


def _have(inboxes: list[Inbox], count: int) -> bool:
    return sum(len(inbox.deliveries) for inbox in inboxes) >= count
