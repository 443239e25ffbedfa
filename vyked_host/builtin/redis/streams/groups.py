"""All groups of one mesh, and how far each of them is behind."""

from __future__ import annotations

from typing import Any

from ....contracts import GroupLag
from . import keys
from .bounded import Bounded
from .scripts import LAG


class Groups:
    """A member that asked within `lately_s` seconds is there; so is one that has something and does not ask for more, within
    `ack_wait_s`."""

    def __init__(self, bounded: Bounded, prefix: str, mesh: str, lately_s: float, ack_wait_s: float) -> None:
        self._bounded, self._prefix, self._mesh = bounded, prefix, mesh
        self.index = keys.groups_of(prefix, mesh)
        self._there_ms = (str(int(lately_s * 1000)), str(int((lately_s + ack_wait_s) * 1000)))

    async def add(self, base: str) -> None:
        """One more group is known."""
        await self._bounded.ask("SADD", self.index, base)

    async def lag(self, groups: frozenset[str] | None) -> list[GroupLag]:
        """Of each group, or of those of these names. One that was ended at the server is forgotten."""
        known: Any = await self._bounded.ask("SMEMBERS", self.index)
        found = [await self._of(base) for base in sorted(each.decode() for each in known) if _is_among(base, groups)]
        return [each for each in found if each is not None]

    async def _of(self, base: str) -> GroupLag | None:
        service, major, name, group = keys.told(base, self._prefix, self._mesh)
        its = keys.of_group(keys.of_topic(self._prefix, self._mesh, service, major, name), group)
        (stream, held), (again, again_held) = its.lanes
        told: Any = await self._bounded.run(
            LAG, (stream, held, again, again_held, its.order, its.later), group, *self._there_ms
        )
        if not told:
            await self._bounded.ask("SREM", self.index, base)
            return None
        members, waiting, in_flight, oldest_ms, dead = map(int, told)
        return GroupLag(
            service=service, major=major, name=name, group=group, members=members, waiting=waiting, in_flight=in_flight,
            oldest_s=max(0, oldest_ms) / 1000, dead=dead,
        )  # fmt: skip


def _is_among(base: str, groups: frozenset[str] | None) -> bool:
    return groups is None or base.rpartition(":")[2] in groups
