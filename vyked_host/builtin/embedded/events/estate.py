"""What one holder leaves to the next: everything that waits for a group, and the ids of what was accepted lately."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ....contracts import Environment, Term
from ....errors import NotSupported, VykedError
from ....wire.envelope import MalformedEnvelope
from .broker import Broker
from .entry import Entry, Past, Store, nothing
from .group import GroupQueue
from .journal import Journal
from .letters import BATCH_BYTES, DeadLetter, Heirloom, Succession
from .parcel import Parcel, Topic

if TYPE_CHECKING:
    from .desk import BusDesk

IDS = 4096
"""Ids that go in one call."""


async def bequeath(desk: BusDesk, heir: Term | None, env: Environment) -> None:
    """Give what waits at `desk` to `heir`. What nobody takes is told: where it is, or how much is lost."""
    left = list(estate(desk.broker))
    events = sum(each.packed is not None for each in left)
    if heir is None:
        if events and not isinstance(desk.store, Journal):
            env.log.warning("%d events that waited for their consumers are lost: nobody took the hub over", events)
        return
    try:
        there = heir.desk(type(desk))
        if isinstance(desk.store, Journal) and await there.place() == desk.store.place:
            return  # the next holder has them: they are in the file
        await _give(there, desk.broker.seen.ids(), left)
        if isinstance(desk.store, Journal) and events:
            await _forget(desk.store, desk.broker)
    except (VykedError, OSError) as error:
        where = f"stay in {desk.store.path}" if isinstance(desk.store, Journal) else "are lost"
        env.log.warning("%d events could not be given to %s, and %s: %s", events, heir.node_id, where, error)


async def _give(there: BusDesk, ids: Sequence[str], left: Sequence[Heirloom]) -> None:
    for batch in _batches(left):
        await there.take_over([], batch)
    for at in range(0, len(ids), IDS):  # last: an event whose id is known there is not taken
        await there.take_over(list(ids[at : at + IDS]), [])


def _batches(left: Sequence[Heirloom]) -> Iterator[list[Heirloom]]:
    batch: list[Heirloom] = []
    size = 0
    for each in left:
        batch.append(each)
        size += 256 + len(each.packed or b"") + len(each.cause)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _forget(store: Journal, broker: Broker) -> None:
    """The next holder has another file: ours has nothing of it any more."""
    await store.open()
    for group in broker.all_groups():
        for entry in group.entries.values():
            store.forget(entry)
    await store.aclose()


def estate(broker: Broker) -> Iterator[Heirloom]:
    """Every group, and every event in it, in order."""
    yield from succession(broker).groups
    for group in broker.all_groups():
        service, major, name = group.topic
        for entry, state, seconds in group.past():
            yield Heirloom(
                service, major, name, group.name, group.strategy, entry.parcel.packed, entry.count, state, seconds, entry.cause
            )  # fmt: skip


def succession(broker: Broker, roster: Sequence[str] = ()) -> Succession:
    """What the next holder has to know: every group, and whom to wait for."""
    groups = [Heirloom(*group.topic, group.name, group.strategy) for group in broker.all_groups()]
    return Succession(list(roster), groups)


def dead_letters(broker: Broker, topic: Topic, group: str, after: int) -> list[DeadLetter]:
    """Dead letters of a group, oldest first, without the first `after` ones: as many as fit in a batch."""
    found = broker.groups.get(topic, {}).get(group)
    letters: list[DeadLetter] = []
    size = 0
    for entry in list(found.dead.values())[after:] if found is not None else ():
        letters.append(DeadLetter(entry.parcel.packed, entry.cause, entry.count))
        size += len(entry.parcel.packed)
        if size >= BATCH_BYTES:
            break
    return letters


async def inherit(broker: Broker, store: Store, ids: Sequence[str], left: Sequence[Heirloom], now: float) -> int:
    """Take up what an earlier holder leaves. Events in memory are taken whatever the budget says: it was theirs too."""
    taken: list[tuple[Entry, Heirloom]] = []
    touched: dict[GroupQueue, None] = {}
    for each in left:
        group = group_of(broker, each)
        touched[group] = None
        if each.packed is not None and (entry := _entry(broker, group, each)) is not None:
            taken.append((entry, each))
    broker.seen.add_all(ids, now)
    for group in touched:
        group.settle_order()
    if taken and store.durable:
        await _kept(store, taken)
    return len(taken)


def _entry(broker: Broker, group: GroupQueue, each: Heirloom) -> Entry | None:
    try:
        parcel = Parcel.of(each.packed or b"")
    except MalformedEnvelope:
        return None  # an older or newer holder wrote it: refused like any other event it would publish
    return broker.take_over(group, parcel, Past(each.count, each.state, each.seconds, each.cause))


def group_of(broker: Broker, each: Heirloom) -> GroupQueue:
    """The group that an heirloom is of; made where it is not known."""
    topic = Topic(each.service, each.major, each.name)
    try:
        return broker.group(topic, each.group, each.strategy)
    except NotSupported:
        return broker.groups[topic][each.group]  # its members of now decide


async def _kept(store: Store, taken: Sequence[tuple[Entry, Heirloom]]) -> None:
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    store.keep([entry for entry, _ in taken], partial(_tell, done))
    for entry, each in taken:
        if each.count or each.state != "waiting":
            store.mark(entry, each.state, each.seconds, nothing)
    why_not = await done
    if why_not:
        raise NotSupported(f"the events could not be kept: {why_not}")


def _tell(done: asyncio.Future[str], why_not: str) -> None:
    if not done.done():
        done.set_result(why_not)
