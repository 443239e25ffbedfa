"""Results in memory: two dicts in the order in which things were put there, bounded by count and by bytes.

What is held is never given up for room: who holds a key has begun. Where everything is held, one more is refused.
"""

from __future__ import annotations

import secrets

from ...contracts import Claim, Environment, Record, ResultStore, Standing, claimed, renewed, settled
from ...errors import Overloaded
from .options import MemoryOptions

ENTRY_BYTES = 512
"""What one key costs beside its result (measured: 450 bytes of objects)."""


class MemoryResults(ResultStore):
    """`contracts.ResultStore` of one process."""

    def __init__(self, options: MemoryOptions, env: Environment) -> None:
        self._options, self._now = options, env.clock.now
        self._held: dict[str, Record] = {}
        self._done: dict[str, tuple[Record, float]] = {}  # in the order in which they lapse
        self._bytes = 0
        self._name = f"memory:{secrets.token_hex(8)}"

    async def open(self) -> str:
        """Another name in each process."""
        return self._name

    async def claim(self, key: str, claim: Claim, *, deadline: float) -> Standing:
        """Raises Overloaded where as many calls run as there may be keys."""
        standing, record = claimed(self._known(key), claim)
        if standing.state == "granted" and key not in self._held:
            self._make_room()
        if standing.state == "granted":
            self._held[key] = record
        return standing

    async def renew(self, key: str, token: str) -> bool:
        """One more beat."""
        found = renewed(self._held.get(key), token)
        if found is not None:
            self._held[key] = found
        return found is not None

    async def settle(self, key: str, token: str, outcome: bytes | None) -> bool:
        """Keep the outcome, or free the key."""
        held, record = settled(self._known(key), token, outcome)
        if held and self._held.pop(key, None) is not None and record is not None and record.outcome is not None:
            self._done[key] = (record, self._now() + self._options.keep)
            self._bytes += ENTRY_BYTES + len(record.outcome)
            while self._done and self._bytes > self._options.memory:
                self._drop(next(iter(self._done)))
        return held

    async def aclose(self) -> None:
        """All is forgotten."""
        self._held.clear()
        self._done.clear()
        self._bytes = 0

    def _known(self, key: str) -> Record | None:
        now = self._now()
        while self._done and (first := next(iter(self._done.items())))[1][1] <= now:
            self._drop(first[0])
        done = self._done.get(key)
        return done[0] if done is not None else self._held.get(key)

    def _make_room(self) -> None:
        if len(self._held) >= self._options.keys:
            raise Overloaded(
                f"{len(self._held)} calls with an idempotency key run, and [results.memory] keys has room for no more",
                executed="not_executed", retry_after=0.1,
            )  # fmt: skip
        while self._done and len(self._held) + len(self._done) >= self._options.keys:
            self._drop(next(iter(self._done)))

    def _drop(self, key: str) -> None:
        record, _ = self._done.pop(key)
        self._bytes -= ENTRY_BYTES + len(record.outcome or b"")
