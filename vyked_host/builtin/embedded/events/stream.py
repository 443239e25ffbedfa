"""One stream of one node: what its session has, in batches, until the stream's time is up or another takes over."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Sequence

from .letters import BATCH_BYTES, Batch, Handed, Run, Succession
from .session import Session, Told


async def batches(
    session: Session, ready: asyncio.Event, *, until: float, now: Callable[[], float],
    moving: Callable[[], Succession | None], news: Callable[[int], tuple[int, Succession] | None],
) -> AsyncIterator[Batch]:  # fmt: skip
    """All that `session` is due; it ends by itself at `until`, in monotonic seconds, once nothing waits, or when the holder
    gives up the hub, which it does once `moving` says who comes next. `ready` is set when there is something new."""
    stream, known = session.stream, 0
    while session.stream == stream:
        ready.clear()
        if (found := news(known)) is not None:
            known, groups = found
            yield Batch([], [], "", groups)
        if now() >= until:  # also of one that is never without something to say: the next stream says it
            yield Batch([], [], "again")
            return
        told, given = session.take(BATCH_BYTES)
        if told or given:
            handed = [Handed(each.member.index, each.token, each.count, each.entry.parcel.packed) for each in given]
            yield Batch(_runs(told), handed)
        elif (succession := moving()) is not None:
            yield Batch([], [], "moving", succession)
            return
        else:
            await _either(ready, until - now())


def _runs(told: Sequence[Told]) -> list[Run]:
    runs: list[Run] = []
    feed, following = None, 0
    for each in told:
        if each.feed is not feed or each.number != following:
            feed, following = each.feed, each.number
            runs.append(Run(feed.index, following, []))
        runs[-1].events.append(each.parcel.packed)
        following += 1
    return runs


async def _either(ready: asyncio.Event, seconds: float) -> None:
    """Until `ready`, or so many seconds."""
    if seconds == math.inf:
        await ready.wait()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ready.wait()
