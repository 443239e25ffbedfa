"""What was published is kept for a while where the bus has a file and `keep`: told again to who asks, then what comes, without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vyked_host.builtin.embedded.events.past_table import PRUNE_EVERY
from vyked_host.builtin.embedded.options import BusOptions
from vyked_host.builtin.embedded.provider import guarantees as declared
from vyked_host.builtin.embedded.provider import vyked_pubsub_backends
from vyked_host.contracts import Provider, PubSub
from vyked_host.errors import NotSupported
from vyked_host.testing.conformance.operations import Operations
from vyked_host.testing.conformance.pubsub import ACK, Inbox, PubSubConformance, event, to
from vyked_host.testing.waiting import eventually

from .party import Party

Parties = Callable[..., Party]


@pytest.mark.asyncio
class TestOneHost(Operations):
    """The kit's cases, over a bus that keeps what was published."""

    bus = PubSubConformance.bus
    publish = PubSubConformance.publish

    @pytest.fixture
    def provider(self) -> Provider[PubSub]:
        (found,) = vyked_pubsub_backends()
        return found

    @pytest.fixture
    def options(self, tmp_path: Path) -> BusOptions:
        return BusOptions(path=str(tmp_path / "events.db"), keep=60.0)


@pytest.fixture
def party(parties: Parties) -> Party:
    return parties(path="events.db", keep=600.0)


async def test_a_node_that_does_not_hold_the_file_gets_the_past_and_then_what_comes(party: Party) -> None:
    holder, second = [await party.member() for _ in range(2)]
    sent = [(await holder.publish()).id for _ in range(1000)]
    inbox = Inbox()
    await second.bus.subscribe(to(None, "m", since="0"), inbox)
    sent += [(await holder.publish()).id for _ in range(200)]
    await eventually(lambda: len(inbox.ids) >= len(sent), 15)
    assert inbox.ids == sent
    assert all(each.gap == 0 for each in inbox.deliveries)


async def test_what_is_published_meanwhile_comes_once_and_in_order(party: Party) -> None:
    holder, second = [await party.member() for _ in range(2)]
    sent = [(await holder.publish()).id for _ in range(300)]
    slow = Inbox(lambda _delivery: None)
    publishing = asyncio.ensure_future(_publish(holder, 600))
    await second.bus.subscribe(to(None, "m", since="0", concurrency=16), slow)
    settled = 0
    while settled < 900:
        await eventually(lambda settled=settled: len(slow.deliveries) > settled, 15)
        await slow.deliveries[settled].settle(ACK)
        settled += 1
    assert slow.ids == sent + await publishing
    assert all(each.gap == 0 for each in slow.deliveries)


async def _publish(member: Any, count: int) -> list[str]:
    return [(await member.publish()).id for _ in range(count)]


async def test_the_past_outlives_its_holder(party: Party) -> None:
    holder, second, third = [await party.member() for _ in range(3)]
    sent = [(await second.publish()).id for _ in range(20)]
    await holder.crash()
    sent.append((await second.publish(within=20)).id)
    inbox = Inbox()
    await third.bus.subscribe(to(None, "m", since=sent[4]), inbox)
    await eventually(lambda: len(inbox.ids) == 16, 10)
    assert inbox.ids == sent[5:]


async def test_a_replay_goes_on_with_the_next_holder(party: Party) -> None:
    holder, second, third = [await party.member() for _ in range(3)]
    sent = [(await second.publish()).id for _ in range(2000)]
    slow = Inbox(lambda _delivery: None)
    await third.bus.subscribe(to(None, "m", since="0", concurrency=1), slow)
    settled = 0
    while settled < 2000:
        if settled == 100:
            await holder.crash()
        await eventually(lambda settled=settled: len(slow.deliveries) > settled, 20)
        await slow.deliveries[settled].settle(ACK)
        settled += 1
    assert slow.ids == sent


async def test_who_left_hears_nothing_of_the_past_either(party: Party) -> None:
    holder = await party.member()
    for _ in range(50):
        await holder.publish()
    slow, stays = Inbox(lambda _delivery: None), Inbox()
    consumer = await holder.bus.subscribe(to(None, "m", since="0", concurrency=1), slow)
    await holder.bus.subscribe(to(None, "n"), stays)
    await eventually(lambda: slow.ids)
    await consumer.aclose()
    await slow.deliveries[0].settle(ACK)
    await holder.publish()
    await eventually(lambda: stays.ids)
    assert len(slow.ids) == 1


async def test_what_is_older_than_keep_goes(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = await parties(path="events.db", keep=60.0).member()
    old = [(await holder.publish()).id for _ in range(3)]
    clock, unix = holder.env.clock, holder.env.clock.unix
    monkeypatch.setattr(clock, "unix", lambda: unix() + 61.0)
    await asyncio.gather(*(holder.publish() for _ in range(PRUNE_EVERY)))
    inbox = Inbox()
    await holder.bus.subscribe(to(None, "m", since="0"), inbox)
    await eventually(lambda: len(inbox.ids) >= PRUNE_EVERY - 3, 15)
    assert not set(old) & set(inbox.ids)


@pytest.mark.parametrize(
    ("options", "group"), [({}, None), ({"path": "events.db"}, None), ({"path": "events.db", "keep": 60.0}, "g")]
)
async def test_what_is_not_kept_is_refused(parties: Parties, options: dict[str, Any], group: str | None) -> None:
    holder = await parties(**options).member()
    assert declared(BusOptions(**options)).replay == ("keep" in options)
    with pytest.raises(NotSupported, match="path and keep"):
        await holder.bus.subscribe(to(group, "m", since="0"), Inbox())


async def test_a_holder_that_keeps_nothing_is_named(party: Party) -> None:
    holder = await party.member(path=None, keep=None)
    second = await party.member()
    assert holder.holds
    with pytest.raises(NotSupported, match="holder of the hub keeps nothing"):
        await second.bus.subscribe(to(None, "m", since="0"), Inbox())


def test_keep_without_a_file_is_a_fault_of_the_options() -> None:
    with pytest.raises(msgspec.ValidationError, match="it needs path"):
        msgspec.convert({"keep": 60.0}, BusOptions)


async def test_an_event_that_is_published_again_is_in_the_past_once(party: Party) -> None:
    holder = await party.member()
    first = await holder.publish(event(named=True))
    await holder.publish(first)
    last = await holder.publish()
    inbox = Inbox()
    await holder.bus.subscribe(to(None, "m", since="0"), inbox)
    await eventually(lambda: last.id in inbox.ids)
    assert inbox.ids == [first.id, last.id]
