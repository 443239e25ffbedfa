"""Dead letters: what the handlers of a group gave up on, until somebody forgets it or brings it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from ....contracts import Event
from ....wire.envelope import MalformedEnvelope, unpack
from .bounded import Bounded
from .keys import GroupKeys, of_base
from .scripts import DISCARD

AT_ONCE = 64
"""Letters that are fetched together: of 1 MiB each they are what an answer may hold without hurting anybody."""


class Letter(NamedTuple):
    """One dead letter: `field` names it, `packed` is the event as it was published."""

    field: bytes
    deliveries: int
    cause: str
    packed: bytes


def opened(field: bytes, value: bytes) -> Letter:
    """A letter as the script writes it: deliveries, bytes of the cause, the cause, the event."""
    deliveries, size, rest = value.split(b" ", 2)
    length = int(size)
    return Letter(field, int(deliveries), rest[:length].decode(errors="replace"), rest[length:])


class Letters:
    """All dead letters of one mesh."""

    def __init__(self, bounded: Bounded, index: str) -> None:
        self._bounded, self._index = bounded, index

    async def boxes(self) -> list[tuple[str, int]]:
        """(what the index holds, dead letters) of each group that has any."""
        known: Any = await self._bounded.ask("SMEMBERS", self._index)
        bases = sorted(each.decode() for each in known)
        counts: list[Any] = [await self._bounded.ask("ZCARD", of_base(each, "").order) for each in bases]
        return [(base, int(count)) for base, count in zip(bases, counts, strict=True) if count]

    async def of(self, keys: GroupKeys) -> AsyncIterator[Letter]:
        """Those of one group, oldest first."""
        fields: Any = await self._bounded.ask("ZRANGE", keys.order, "0", "-1")
        for at in range(0, len(fields), AT_ONCE):
            some = fields[at : at + AT_ONCE]
            values: Any = await self._bounded.ask("HMGET", keys.dead, *some)
            for field, value in zip(some, values, strict=True):
                if value is not None:
                    yield opened(field, value)

    async def events(self, keys: GroupKeys) -> AsyncIterator[tuple[Event, str, int]]:
        """(event, cause, deliveries) of each that is one."""
        async for letter in self.of(keys):
            event = event_in(letter)
            if event is not None:
                yield event, letter.cause, letter.deliveries

    async def discard(self, event_id: str, *, replay: bool, group: str | None) -> None:
        """Forget an event in every group, or in that one, or bring it back with its count at 0. Raises KeyError when none has it."""
        found = False
        for base, _ in await self.boxes():
            if group not in (None, base.rpartition(":")[2]):
                continue
            keys = of_base(base, "")
            async for letter in self.of(keys):
                event = event_in(letter)
                if event is not None and event.id == event_id:
                    where = (keys.dead, keys.order, keys.lanes[1].stream)
                    again = letter.packed if replay else b""
                    found |= bool(await self._bounded.run(DISCARD, where, letter.field, again))
        if not found:
            raise KeyError(event_id)


def event_in(letter: Letter) -> Event | None:
    """The event in it; None: it is none that could be read, and only its bytes are kept."""
    try:
        return unpack(letter.packed)
    except MalformedEnvelope:
        return None
