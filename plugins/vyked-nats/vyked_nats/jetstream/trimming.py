"""What may be taken out of the stream: what every group has handled and is older than `keep`. Decided here, without I/O.

How old is judged by this host's own clock: it looks now and then how far the stream reaches, and what was there when it looked
`keep` seconds ago is old enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

EVERYTHING = (1 << 63) - 1


class Looks:
    """When the stream reached how far."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def note(self, now: float, last: int) -> None:
        """At `now` (monotonic) it reached to `last`."""
        if self._looks and last < self._looks[-1][1]:
            self._looks.clear()  # another stream
        self._looks.append((now, last))

    def old(self, now: float, keep_s: float) -> int:
        """Up to here it is older than `keep_s`; 0: nothing is known to be."""
        found = 0
        while self._looks and self._looks[0][0] <= now - keep_s:
            found = self._looks.popleft()[1]
        if found:
            self._looks.appendleft((now - keep_s, found))
        return found


class Floor(NamedTuple):
    """A consumer has handled everything of what `pattern` matches up to `sequence`."""

    pattern: str
    sequence: int


def floors(consumers: Iterable[dict[str, Any]]) -> list[Floor]:
    """Of every durable consumer in an answer of the server, also of those that somebody else made."""
    found = []
    for each in consumers:
        config = each["config"]
        if not config.get("durable_name") or config.get("ack_policy") == "none":
            continue
        is_idle = not each.get("num_pending") and not each.get("num_ack_pending")
        sequence = EVERYTHING if is_idle else int(each["ack_floor"]["stream_seq"])
        patterns = config.get("filter_subjects") or [config.get("filter_subject") or ">"]
        found += [Floor(pattern, sequence) for pattern in patterns]
    return found


def handled(subject: str, among: Iterable[Floor], old: int, *, is_queue: bool = False) -> int:
    """Up to which sequence events of `subject` may go, of those that are old enough. Jobs wait for their group also where somebody
    has removed it."""
    found = [each.sequence for each in among if matches(each.pattern, subject)]
    return 0 if is_queue and not found else min((old, *found))


def matches(pattern: str, subject: str) -> bool:
    """Does a subject fit a pattern (https://docs.nats.io/nats-concepts/subjects)?"""
    wanted, parts = pattern.split("."), subject.split(".")
    for at, each in enumerate(wanted):
        if each == ">":
            return len(parts) > at
        if at >= len(parts) or each not in ("*", parts[at]):
            return False
    return len(wanted) == len(parts)
