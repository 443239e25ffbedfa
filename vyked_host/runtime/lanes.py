"""Which rows of an outbox are tried now. A lane, the rows of one topic and key, waits after a failure, and so does a topic of which
nothing was taken; what waits holds up nobody else, however many rows it has before theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..routing.backoff import Backoff
from ..service.outbox import OutboxRow

MOST = 256
"""Rows that are tried together."""
LARGEST = 64 * MOST
"""Rows that are read together, where those that wait are many."""
AGAIN = Backoff(first=0.1, most=5.0)
Lane = tuple[str, str | None]


class Lanes:
    """Of one outbox. `window`: so many rows are to be read; `has_more`: what was read last was not all that may be tried."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.window, self.has_more = MOST, False
        self._now = now
        self._waits: dict[str | Lane, tuple[int, float]] = {}  # of a topic or a lane: failures, and until when

    def due(self, rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
        """Of what was read, the lanes that are tried now."""
        now, lanes = self._now(), dict[Lane, list[OutboxRow]]()
        free = [row for row in rows if not self._is_held(row, now)] if self._waits else rows
        for row in free[:MOST]:
            lanes.setdefault((row.topic, row.key), []).append(row)
        self._look(rows, len(rows) - len(free))
        self.has_more |= len(free) > MOST
        return list(lanes.values())

    def tried(self, lanes: Iterable[Sequence[OutboxRow]], taken: Iterable[int]) -> None:
        """So many rows of each of these lanes were taken, in order."""
        some: dict[str, int] = {}
        failed: set[str] = set()
        for lane, count in zip(lanes, taken, strict=True):
            topic, key = lane[0].topic, lane[0].key
            some[topic] = some.get(topic, 0) + count
            if count < len(lane):
                failed.add(topic)
            self._settle((topic, key), count < len(lane))
        for topic, count in some.items():
            self._settle(topic, topic in failed and not count)

    def release(self) -> None:
        """Nobody waits any more."""
        self._waits.clear()

    def _is_held(self, row: OutboxRow, now: float) -> bool:
        waits = self._waits
        _, topic_until = waits.get(row.topic, (0, 0.0))
        _, lane_until = waits.get((row.topic, row.key), (0, 0.0))
        return now < max(topic_until, lane_until)

    def _settle(self, which: str | Lane, has_failed: bool) -> None:
        if not has_failed:
            self._waits.pop(which, None)
            return
        failures, _ = self._waits.get(which, (0, 0.0))
        self._waits[which] = (failures + 1, self._now() + AGAIN.delay(failures, 0.5))

    def _look(self, rows: Sequence[OutboxRow], held: int) -> None:
        """How far to look next, and whom to remember."""
        before, is_full = self.window, len(rows) >= self.window
        if not held:
            self.window = MOST
        elif is_full and held > self.window // 2:
            self.window = min(2 * self.window, LARGEST)
        self.has_more = self.window > before
        if self._waits and not is_full:  # that is all there are
            there: set[str | Lane] = {row.topic for row in rows}
            there |= {(row.topic, row.key) for row in rows}
            self._waits = {which: wait for which, wait in self._waits.items() if which in there}
