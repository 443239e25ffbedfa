"""What goes wrong between a node and the holder: streams that end or break, answers that are lost, nodes that hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from vyked_host.builtin.embedded.events import desk, links, outbox
from vyked_host.errors import CallError, DeadlineExceeded, Unavailable
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.waiting import eventually

from .party import Member, Party

Parties = Callable[..., Party]


async def both(party: Party, inbox: Inbox, fan: Inbox) -> tuple[Member, Member]:
    """A holder, and a node elsewhere that has both kinds of subscription."""
    holder, away = await party.member(), await party.member()
    await away.bus.subscribe(to("g", "a", concurrency=2000), inbox)
    await away.bus.subscribe(to(None, "a", concurrency=2000), fan)
    return holder, away


async def test_a_stream_ends_before_its_deadline_and_nothing_is_lost_between_two(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "STREAM_S", 0.3)
    monkeypatch.setattr(desk, "MARGIN_S", 0.2)
    inbox, fan = Inbox(), Inbox()
    holder, _away = await both(party, inbox, fan)
    (session,) = [each for each in holder.desk.broker.sessions.values() if each.feeds]
    sent: list[str] = []
    while session.stream < 5:
        sent.append((await holder.publish()).id)
        await asyncio.sleep(0.001)  # the loop gets its turns, or there would be no end to this
    await eventually(lambda: len(inbox.ids) >= len(sent) and len(fan.ids) >= len(sent))
    assert inbox.ids == fan.ids == sent
    assert {(each.count, each.gap) for each in inbox.deliveries + fan.deliveries} == {(1, 0)}
    assert session in holder.desk.broker.sessions.values()  # the same one all the time


async def test_a_stream_that_breaks_costs_no_delivery_and_says_what_fan_out_lost(parties: Parties) -> None:
    inbox, fan = Inbox(lambda _delivery: None), Inbox()
    holder, away = await both(parties(scale=1.0, ack_wait=300.0), inbox, fan)
    await holder.publish()
    await eventually(lambda: len(inbox.ids) == len(fan.ids) == 1)
    link: Any = away.bus._link
    take, lost = link._take, []
    link._take = lost.append  # what was under way when a connection breaks
    dropped = [(await holder.publish()).id for _ in range(3)]
    await eventually(lambda: sum(len(run.events) for batch in lost for run in batch.runs) == 3)
    link.close()
    link._take, link._is_listening = take, False
    link._listen()
    await eventually(lambda: sorted(inbox.ids[1:]) == sorted(dropped))
    assert {each.count for each in inbox.deliveries} == {1}  # they had not come before
    await holder.publish()
    await eventually(lambda: len(fan.ids) == 2)
    assert fan.deliveries[1].gap == 3
    for delivery in inbox.deliveries:
        await delivery.settle(ACK)
    assert len(set(inbox.ids)) == len(inbox.ids)


async def test_a_node_that_was_away_too_long_is_subscribed_anew_and_told(parties: Parties) -> None:
    inbox, fan = Inbox(lambda delivery: ACK if delivery.count > 1 else None), Inbox()
    holder, away = await both(parties(ack_wait=300.0), inbox, fan)
    await holder.publish(first := event())
    await eventually(lambda: len(inbox.ids) == len(fan.ids) == 1)
    link: Any = away.bus._link
    link.close()
    await eventually(lambda: len(holder.desk.broker.sessions) == 1)  # only its own
    await holder.publish()
    link._is_listening = False
    link._listen()
    await eventually(lambda: len(inbox.ids) == 3)
    assert [each.count for each in inbox.deliveries if each.event.id == first.id] == [1, 2]
    await holder.publish(last := event())
    await eventually(lambda: fan.ids[-1:] == [last.id])
    assert fan.deliveries[-1].gap == -1
    assert [len(feeds) for feeds in holder.desk.broker._feeds.values()] == [1]  # once, not twice


async def test_an_answer_that_is_lost_costs_no_event_and_no_second_handling(party: Party) -> None:
    inbox, fan = Inbox(), Inbox()
    _holder, away = await both(party, inbox, fan)
    link: Any = away.bus._link
    publish, fail = link.publish, [3]

    async def lossy(letters: Any, within: float) -> Any:
        taken = await publish(letters, within)
        if fail[0]:
            fail[0] -= 1
            raise Unavailable("the answer was lost", executed="unknown")
        return taken

    link.publish = lossy
    sent = [(await away.publish()).id for _ in range(5)]
    await eventually(lambda: inbox.ids == fan.ids == sent)


async def test_e2_an_ack_that_is_lost_is_told_again_and_one_that_never_comes_means_a_flagged_duplicate(
    parties: Parties,
) -> None:
    inbox, fan = Inbox(), Inbox()
    holder, away = await both(parties(ack_wait=5.0), inbox, fan)  # 0.5 s
    link: Any = away.bus._link
    settle, mode = link.settle, ["answer lost"]

    async def lossy(settlements: Any) -> None:
        if mode[0] == "all lost":
            raise Unavailable("not sent", executed="not_sent")
        await settle(settlements)
        if mode[0] == "answer lost":
            mode[0] = ""
            raise Unavailable("the answer was lost", executed="unknown")

    link.settle = lossy
    await holder.publish(first := event())
    await eventually(lambda: mode[0] == "")
    await eventually(lambda: not holder.desk.broker.groups[_topic()]["g"].entries)
    assert inbox.ids == [first.id]
    mode[0] = "all lost"
    await holder.publish(second := event())
    await eventually(lambda: inbox.ids.count(second.id) >= 2)
    mode[0] = ""
    await eventually(lambda: not holder.desk.broker.groups[_topic()]["g"].entries)
    counts = [each.count for each in inbox.deliveries if each.event.id == second.id]
    assert counts == list(range(1, len(counts) + 1))  # each one that came again says so


def _topic() -> Any:
    return ("shop", 1, "paid")


async def test_a_holder_that_does_not_answer_is_told_as_unknown(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "GRACE_S", 0.1)
    _holder, away = [await party.member() for _ in range(2)]

    async def hangs(*_: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    link: Any = away.bus._link
    link.publish = hangs
    with pytest.raises(DeadlineExceeded) as refused:
        await away.publish(within=0.2)
    assert refused.value.executed == "unknown"


async def test_e7_a_node_that_takes_nothing_loses_its_oldest_and_holds_up_nobody(parties: Parties) -> None:
    party = parties(queue=10, scale=1.0)
    holder, stopped, other = [await party.member() for _ in range(3)]
    slow, quick = Inbox(), Inbox()
    await stopped.bus.subscribe(to(None, "s", concurrency=5000), slow)
    await other.bus.subscribe(to(None, "o"), quick)
    link: Any = stopped.bus._link
    await eventually(lambda: len(holder.desk._streams) == 2)
    link.close()  # it reads no more; its session lives on for a moment
    await eventually(lambda: len(holder.desk._streams) == 1)
    sent = [(await holder.publish()).id for _ in range(500)]
    await eventually(lambda: sum(1 + each.gap for each in quick.deliveries) == 500)
    link._is_listening = False
    link._listen()
    await eventually(lambda: sum(1 + each.gap for each in slow.deliveries) == 500)
    assert slow.ids[-1] == sent[-1]
    assert len(slow.ids) <= 10 * 16
    assert all(each.gap >= 0 for each in slow.deliveries)


@pytest.mark.parametrize("leaves", [0, 1])
async def test_e9_every_publish_in_a_shutdown_is_accepted_or_refused(party: Party, leaves: int) -> None:
    members = [await party.member() for _ in range(2)]
    inbox = Inbox()
    await members[1 - leaves].bus.subscribe(to("g", "m", concurrency=2000), inbox)
    bus, deadline = members[leaves].bus, members[leaves].env.clock.now() + 20
    sent = [event() for _ in range(1000)]
    outcomes = [bus.publish(each, deadline=deadline) for each in sent[:500]]
    ending = asyncio.ensure_future(members[leaves].leave())
    await asyncio.sleep(0)
    outcomes += [bus.publish(each, deadline=deadline) for each in sent[500:]]
    await ending
    accepted = [each.id for each, done in zip(sent, outcomes, strict=True) if await _accepted(done)]
    assert len(accepted) >= 500
    await eventually(partial(_all_in, accepted, inbox))


async def _accepted(outcome: Any) -> bool:
    try:
        await outcome
    except CallError as error:
        refused = error.executed
    else:
        return True
    assert refused in {"not_sent", "not_executed"}
    return False


def _all_in(ids: list[str], inbox: Inbox) -> bool:
    return set(ids) <= set(inbox.ids)
