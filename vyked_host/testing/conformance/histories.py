"""Any history of publishing and consuming, against a small model; `hypothesis` prints the one that went wrong.

The model knows what was published, who has what, and what was said of it. Checked at each delivery: it is of a published event,
nobody else of the group has it, what was settled does not come again, a count is never one that was there before. Checked at
the end, once everything is settled: each event was acked, or is a dead letter, or waits; fan-out lost nothing untold.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ...contracts import (
    DeadLetters,
    Delivery,
    Event,
    Subscription,
    Verdict,
)
from ..waiting import eventually
from .event_model import Group, Subject, Taker

ACK = Verdict(action="ack")
GROUPS = ("g", "h")
PLACE = st.integers(0, 99)
"""Which one of several, modulo their number: what there is depends on time, and what is drawn must not."""
MOMENT_S = 0.05


class Histories(RuleBasedStateMachine):
    """The machine. `subject` is set by who runs it."""

    subject: Subject

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.mesh = f"mesh-{secrets.token_hex(4)}"  # its own: a server may keep what the history before left
        self.published: list[Event] = []
        self.recent: list[Event] = []  # what is known by its id: of before a restart, what was kept
        self.groups = {name: Group() for name in GROUPS}
        self.members: list[tuple[str, Taker]] = []
        self.everything: list[Taker] = []
        self.made = 0

    # ---- the object under test ---------------------------------------------------------------------------------------
    def run(self, work: Any) -> Any:
        """Run `work` on the machine's own loop."""
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        """A host begins, with a member of each group."""
        self.run(self._begin())
        for group in GROUPS if self._gives_groups() else ():
            self.run(self._join(group))

    async def _begin(self) -> None:
        self.around = self.subject.surroundings(folder=self.folder.name, namespace=self.mesh)
        self.env = await self.around.__aenter__()
        self.bus = self.subject.provider.build(self.subject.options, self.env)

    async def _end(self) -> None:
        await self.bus.aclose()
        await self.around.__aexit__(None, None, None)

    def _gives_groups(self) -> bool:
        return self.subject.guarantees.at_least_once

    # ---- steps -------------------------------------------------------------------------------------------------------
    @rule(count=st.integers(1, 12), key=st.sampled_from([None, "a", "b"]))
    def publish(self, count: int, key: str | None) -> None:
        """Publish some events in one turn of the loop."""
        self.run(self._publish([self._event(key) for _ in range(count)]))

    def _event(self, key: str | None) -> Event:
        self.made += 1
        return Event(
            id=f"event-{self.made}", service="shop", version="1.0.0", name="paid", source="kit", key=key,
            body=b"%d" % self.made, content_type="application/json", named=True,
        )  # fmt: skip

    async def _publish(self, events: list[Event]) -> None:
        for group in self.groups.values():
            if group.is_known:
                group.owed |= {each.id: each for each in events}
                group.since |= dict.fromkeys((each.id for each in events), self.env.clock.now())
        deadline = self.env.clock.now() + 5
        for accepted in [self.bus.publish(each, deadline=deadline) for each in events]:
            await accepted
        self.published += events
        self.recent += events

    @precondition(lambda self: self.recent and self.subject.guarantees.dedupe_s > 0)
    @rule(at=PLACE)
    def publish_again(self, at: int) -> None:
        """An event whose answer was lost is published again under its id."""
        self.run(self._again(self.recent[at % len(self.recent)]))

    async def _again(self, event: Event) -> None:
        await self.bus.publish(event, deadline=self.env.clock.now() + 5)

    @precondition(lambda self: self.subject.guarantees.fan_out and len(self.everything) < 3)
    @rule()
    def follow(self) -> None:
        """Somebody wants everything."""
        self.run(self._join(None))

    @precondition(lambda self: self._gives_groups() and len(self.members) < 5)
    @rule(group=st.sampled_from(GROUPS))
    def join(self, group: str) -> None:
        """A member joins a group."""
        self.run(self._join(group))

    async def _join(self, group: str | None) -> None:
        self.made += 1
        taker = Taker(f"member-{self.made}", self._told if group is None else self._given(group))
        taker.since = len(self.published)
        subscription = Subscription(
            service="shop", major=1, name="paid", group=group, member=taker.name, concurrency=64
        )  # fmt: skip
        taker.consumer = await self.bus.subscribe(subscription, taker)
        if group is None:
            self.everything.append(taker)
        else:
            self.groups[group].is_known = True
            self.members.append((group, taker))

    def _told(self, taker: Taker, delivery: Delivery) -> None:
        taker.received.append(delivery.event.id)
        taker.gaps.append(delivery.gap)
        delivery.settle(ACK)

    def _given(self, group: str) -> Callable[[Taker, Delivery], None]:
        def took(taker: Taker, delivery: Delivery) -> None:
            self.groups[group].took(taker, delivery, self.env.clock.now(), self.subject.ack_wait_s)
            taker.unsettled.append(delivery)

        return took

    @precondition(lambda self: self.members)
    @rule(at=PLACE)
    def leave(self, at: int) -> None:
        """A member leaves with all that it had."""
        self.run(self._leave(self.members[at % len(self.members)]))

    async def _leave(self, member: tuple[str, Taker]) -> None:
        group, taker = member
        self.members.remove(member)
        self.groups[group].left(taker)
        taker.unsettled.clear()
        assert taker.consumer is not None
        await taker.consumer.aclose()

    @precondition(lambda self: self.members)
    @rule(at=PLACE, action=st.sampled_from(["reject", "extend"]))
    def give_up(self, at: int, action: str) -> None:
        """A member gives one up, or asks for more time."""
        self.settle(at, action, 1)

    @precondition(lambda self: self.members)
    @rule(at=PLACE, action=st.sampled_from(["ack", "retry"]), count=st.integers(1, 4))
    def settle(self, at: int, action: str, count: int) -> None:
        """A member says what became of some of what it has; it waits for something a moment."""
        group, taker = self.members[at % len(self.members)]
        self.run(self._settle(self.groups[group], taker, count, action))

    async def _settle(self, group: Group, taker: Taker, count: int, action: str) -> None:
        with contextlib.suppress(AssertionError):
            await eventually(lambda: taker.unsettled, MOMENT_S)
        deliveries = taker.unsettled[:count]
        for delivery in deliveries:
            name, now = delivery.event.id, self.env.clock.now()
            if action in ("ack", "reject") and now - group.since[name] > self.subject.ack_wait_s / 2:
                action = "ack"  # a verdict that may come too late is no verdict to compare with
                group.late.add(name)
            verdict = msgspec.convert({"action": action, "cause": "kit"}, Verdict)
            settling = delivery.settle(verdict)
            has_it = group.with_whom.get(name) is taker
            if action == "extend":
                group.since[name] = now
            else:
                taker.unsettled.remove(delivery)
                self._settled(group, delivery, action, has_it)
            await settling

    def _settled(self, group: Group, delivery: Delivery, action: str, has_it: bool) -> None:
        name = delivery.event.id
        if has_it:
            del group.with_whom[name]
        if action == "ack":
            group.acked.add(name)
            group.dead.pop(name, None)
        elif action == "reject" and has_it:
            group.dead[name] = delivery.count
        elif has_it:
            group.since[name] = self.env.clock.now()

    @precondition(lambda self: self.subject.guarantees.dead_letter)
    @rule(at=PLACE, replay=st.booleans())
    def discard(self, at: int, replay: bool) -> None:
        """A dead letter is forgotten or brought back, in each group that has it."""
        dead = [name for group in self.groups.values() for name in group.dead]
        if dead:
            self.run(self._discard(dead[at % len(dead)], replay))

    async def _discard(self, name: str, replay: bool) -> None:
        assert isinstance(self.bus, DeadLetters)
        having = [group for group in self.groups.values() if group.dead.pop(name, None)]
        for group in having:
            if replay:
                group.counts.pop(name, None)
                group.since[name] = self.env.clock.now()
            else:
                group.acked.add(name)
        await self.bus.discard(name, replay=replay)

    @precondition(lambda self: self.subject.guarantees.durability != "memory")
    @rule()
    def restart(self) -> None:
        """The host ends and begins anew; nobody of it is there any more."""
        self.run(self._restart())

    async def _restart(self) -> None:
        for group, taker in self.members:
            self.groups[group].left(taker)
        self.members, self.everything = [], []
        self.recent = [each for each in self.recent if any(each.id in group.owed for group in self.groups.values())]
        await self._end()
        await self._begin()

    # ---- the end -----------------------------------------------------------------------------------------------------
    def teardown(self) -> None:
        """Settle everything, and compare."""
        try:
            if hasattr(self, "bus"):
                self.run(self._compare())
        finally:
            if hasattr(self, "bus"):
                self.run(self._end())
            self.runner.close()
            self.folder.cleanup()

    async def _compare(self) -> None:
        for name, group in self.groups.items():
            if group.is_known:
                await self._join(name)
        await eventually(lambda: self._faults() or self._all_is_settled())
        assert not self._faults(), self._faults()
        for name, group in self.groups.items():
            if group.is_known and self.subject.guarantees.dead_letter:
                assert await self._letters(name) == list(group.dead), (
                    "the dead letters are not those that were rejected"
                )
        for taker in self.everything:
            self._compare_fan_out(taker)

    def _faults(self) -> list[str]:
        return [fault for group in self.groups.values() for fault in group.faults]

    def _all_is_settled(self) -> bool:
        """Everything that a group is owed was acked or is dead. What came meanwhile is acked."""
        for group, taker in self.members:
            for delivery in list(taker.unsettled):
                taker.unsettled.remove(delivery)
                self._settled(self.groups[group], delivery, "ack", has_it=self._has(group, taker, delivery))
                delivery.settle(ACK)
        owed = all(set(group.owed) <= group.acked | set(group.dead) for group in self.groups.values())
        told = all(
            len({event.id for event in self.published[each.since :]} - set(each.received)) <= sum(each.gaps)
            for each in self.everything
        )
        return owed and (told or any(-1 in each.gaps for each in self.everything))

    def _has(self, group: str, taker: Taker, delivery: Delivery) -> bool:
        return self.groups[group].with_whom.get(delivery.event.id) is taker

    async def _letters(self, group: str) -> list[str]:
        assert isinstance(self.bus, DeadLetters)
        subscription = Subscription(service="shop", major=1, name="paid", group=group, member="kit")
        return [event.id async for event, _, _ in self.bus.dead(subscription)]

    def _compare_fan_out(self, taker: Taker) -> None:
        received, owed = set(taker.received), [each.id for each in self.published[taker.since :]]
        # what was under way to this host when it subscribed may come too, in its order
        wanted = [each.id for each in self.published if each.id in received]
        if self.subject.guarantees.ordered == "publisher":
            assert taker.received == wanted, f"fan-out is out of order: {taker.received} instead of {wanted}"
        assert sorted(taker.received) == sorted(wanted), "fan-out told an event twice, or one that was never published"
        assert any(taker.gaps) or received >= set(owed), "fan-out lost events untold"
