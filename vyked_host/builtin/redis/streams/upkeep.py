"""What one host looks after while it uses a bus of streams: entries that nobody waits for any more, too many dead letters, and
groups nobody of whom comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

from redis.exceptions import ResponseError

from ....contracts import Environment
from ....errors import CallError, Overloaded
from ....routing.abandonment import ABANDONED_S, Abandonment
from ..options import StreamOptions
from .bounded import Bounded
from .groups import Groups
from .letters import Letters
from .scripts import TRIM

TRIM_S = 10.0
FORGOTTEN_MS = 3_600_000
"""A member that has nothing and did not ask for so long is forgotten by its group."""
RETRY_AFTER_S = TRIM_S


class Upkeep:
    """Of one host. `topics` are the streams it uses: it looks after those."""

    def __init__(
        self, options: StreamOptions, env: Environment, bounded: Bounded, letters: Letters, groups: Groups
    ) -> None:
        self._options, self._env, self._bounded, self._letters, self._groups = options, env, bounded, letters, groups
        self.topics: set[str] = set()
        self._full: dict[str, int] = {}
        self._abandonment = Abandonment[tuple[str, str]](ABANDONED_S * env.timing.scale)

    async def watch(self) -> None:
        """For as long as the bus is used. Hosts do it at different moments."""
        keep_ms = str(int(self._options.keep * 1000))
        while True:
            await asyncio.sleep(min(TRIM_S, max(1.0, self._options.keep)) * (0.5 + self._env.rng.random()))
            for stream in sorted(self.topics):
                await self._tried(f"stream {stream} was not trimmed", self._trim(stream, keep_ms))
            await self._tried("dead letters could not be counted", self.count())
            await self._tried("groups could not be looked at", self._look())

    async def _tried(self, what: str, work: Awaitable[Any]) -> None:
        try:
            await work
        except (ResponseError, CallError) as error:
            self._env.log.warning("%s: %s", what, error)

    async def _trim(self, stream: str, keep_ms: str) -> None:
        await self._bounded.run(TRIM, (stream,), keep_ms, str(FORGOTTEN_MS))

    # ---- dead letters --------------------------------------------------------------------------------------------------
    async def count(self) -> None:
        """Look which topics have as many dead letters as they may have."""
        counts: Counter[str] = Counter()
        for base, count in await self._letters.boxes():
            counts[base.rpartition(":")[0]] += count
        before = self._full
        self._full = {stream: count for stream, count in counts.items() if count >= self._options.dead_letters}
        for stream in self._full.keys() & self.topics - before.keys():
            self._env.log.error("publishing is refused: %s", self._words(stream))

    def refusal(self, stream: str) -> Overloaded | None:
        """Why an event is not published to `stream`, or None. As of the last count."""
        if not self._full or stream not in self._full:
            return None
        return Overloaded(self._words(stream), executed="not_sent", retry_after=RETRY_AFTER_S)

    def _words(self, stream: str) -> str:
        topic = topic_of(stream)
        return (
            f"{topic} has {self._full[stream]} dead letters, [pubsub.redis-streams] dead_letters = "
            f"{self._options.dead_letters}: `vyked-host dlq replay` or `vyked-host dlq purge`, with --topic {topic}"
        )

    # ---- groups --------------------------------------------------------------------------------------------------------
    async def _look(self) -> None:
        alone = {
            (each.topic, each.group): max(0, each.waiting) + max(0, each.in_flight)
            for each in await self._groups.lag(None)
            if not each.members and (each.waiting > 0 or each.in_flight > 0)
        }
        for (topic, group), seconds in self._abandonment.look(alone, self._env.clock.now()):
            self._env.log.warning(
                "nobody of group %s has been there for %.0f s, and %d events of %s wait for it at the server: start its service, "
                "or end the group: vyked-host dlq end --topic %s --group %s",
                group, seconds, alone[topic, group], topic, topic, group,
            )  # fmt: skip


def topic_of(stream: str) -> str:
    """``service.event@major`` of a stream's key, PREFIX:MESH:SERVICE@MAJOR:EVENT."""
    service, name = stream.split(":")[-2:]
    return f"{service.partition('@')[0]}.{name}@{service.partition('@')[2]}"
