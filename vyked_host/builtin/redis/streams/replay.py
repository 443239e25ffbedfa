"""Events from before a subscription: where they begin, and how they come."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from ....errors import NotSupported
from ....routing.since import beginning
from ....wire.envelope import MalformedEnvelope, unpack
from ..errands import Errands
from .follower import START, Follow, Id, parsed, written

A_PAGE = 64
"""Entries that are fetched together: of 1 MiB each they are what an answer may hold without hurting anybody."""
LAST = (1 << 64) - 1
ENTRY = re.compile(r"\d+-\d+")


def before(milliseconds: int) -> Id:
    """The last entry that there can be before this time."""
    return (milliseconds - 1, LAST) if milliseconds > 0 else START


async def first(since: str, stream: str, errands: Errands) -> Id:
    """The entry after which a replay begins: of an id of an entry, of a time (routing.since), or of the id of an event that the stream
    still has. Raises NotSupported for one that it has not."""
    if ENTRY.fullmatch(since):
        return parsed(since)
    found = beginning(since)
    if isinstance(found, float):
        return before(int(found * 1000))
    async for entry, packed in _entries(stream, START, errands):
        if _id_of(packed) == found:
            return entry
    raise NotSupported(
        f"{since!r} is no time, and no event of this id is in {stream} any more: begin at a time, such as an ISO 8601 one"
    )


async def _entries(stream: str, after: Id, errands: Errands) -> AsyncIterator[tuple[Id, bytes]]:
    """All that the stream has after one entry, in order, as far as there is something now."""
    while True:
        page: Any = await errands.ask("XRANGE", stream, f"({written(after)}", "+", "COUNT", str(A_PAGE))
        for id_, fields in page:
            after = parsed(id_.decode())
            yield after, bytes(fields[1])
        if len(page) < A_PAGE:
            return


def _id_of(packed: bytes) -> str | None:
    try:
        return unpack(packed).id
    except MalformedEnvelope:
        return None


async def catch_up(
    follow: Follow, errands: Errands, told: Callable[[Follow, Id, bytes], None], follow_on: Callable[[Follow], None]
) -> None:
    """Tell `follow` what came after its last entry, as fast as its handler takes it, so that nothing is lost of a long past; then let
    it follow on like all others."""
    backlog = follow.backlog
    assert backlog is not None
    roomy = asyncio.Event()
    backlog.roomy = roomy.set
    async for entry, packed in _entries(follow.stream, follow.last, errands):
        while not backlog.is_roomy:
            roomy.clear()
            await roomy.wait()
        told(follow, entry, packed)
    follow_on(follow)
