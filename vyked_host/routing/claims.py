"""Idempotency keys as a state machine: who may run a call, who waits, who gets what it gave before. Pure.

A key is free, held or done. Whoever claims a free one holds it under a token of its own, and shows with each beat that it lives.
No clock decides here or in a store: whoever finds a key held looks whether the beat moves, by its own monotonic clock, and names
the hold that it saw stand still when it takes the key over. Only the token that holds a key can settle it, so that a process which
was taken for dead changes nothing when it wakes up.

Every step may be made twice, since the answer of a store may get lost: a claim by the token that holds the key is granted again.

What a key means follows https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ : the same key with another
payload is refused, and so is a second call while the first runs.
"""

from __future__ import annotations

from typing import Literal

from ..model.values import Value


class Hold(Value):
    """Who has a key, and its last sign of life."""

    token: str
    beat: int = 0


class Claim(Value):
    """Who wants a key: its token, never used before, and the digest of what it is called with. `over`: the hold that it saw stand
    still for too long."""

    token: str
    digest: bytes
    over: Hold | None = None


class Record(Value):
    """What is known of a key. `outcome` None: it is held."""

    digest: bytes
    hold: Hold
    outcome: bytes | None = None


class Standing(Value):
    """What became of a claim. granted: run it; held: by `hold`; done: with `outcome`; reused: the key is of another payload."""

    state: Literal["granted", "held", "done", "reused"]
    hold: Hold | None = None
    outcome: bytes | None = None


GRANTED = Standing(state="granted")
REUSED = Standing(state="reused")


def claimed(record: Record | None, claim: Claim) -> tuple[Standing, Record]:
    """What becomes of `claim`, and the record from then on; it is the one given where nothing changes."""
    if record is None:
        return GRANTED, Record(digest=claim.digest, hold=Hold(token=claim.token))
    if record.digest != claim.digest:
        return REUSED, record
    if record.outcome is not None:
        return Standing(state="done", outcome=record.outcome), record
    if record.hold.token == claim.token:
        return GRANTED, record
    if claim.over == record.hold:
        return GRANTED, Record(digest=claim.digest, hold=Hold(token=claim.token))
    return Standing(state="held", hold=record.hold), record


def renewed(record: Record | None, token: str) -> Record | None:
    """The record with one more beat; None: `token` does not hold the key (any more)."""
    if record is None or record.outcome is not None or record.hold.token != token:
        return None
    return Record(digest=record.digest, hold=Hold(token=token, beat=record.hold.beat + 1))


def settled(record: Record | None, token: str, outcome: bytes | None) -> tuple[bool, Record | None]:
    """Whether `token` held the key, and the record from then on: with `outcome`, or free (None) where there is none to keep."""
    if record is None or record.hold.token != token:
        return False, record
    if record.outcome is not None:
        return True, record
    return True, None if outcome is None else Record(digest=record.digest, hold=record.hold, outcome=outcome)


class Watch:
    """The holds that one process looks at, and since when each stands still. At most `most` of them: the ones seen first go."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._seen: dict[str, tuple[Hold, float]] = {}

    def still_for(self, key: str, hold: Hold, now: float) -> float:
        """Seconds for which `hold` of `key` has not moved, as far as this process has seen."""
        known = self._seen.get(key)
        if known is not None and known[0] == hold:
            return now - known[1]
        self._seen.pop(key, None)
        self._seen[key] = (hold, now)
        if len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return 0.0

    def forget(self, key: str) -> None:
        """Nobody holds it any more."""
        self._seen.pop(key, None)
