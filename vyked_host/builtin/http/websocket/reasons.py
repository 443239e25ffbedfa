"""Close codes and reasons as RFC 6455 bounds them (5.5.1, 7.4): the reason has 123 bytes of UTF-8 at most."""

from __future__ import annotations

from ....contracts import Fault
from ....errors import Code, UsageError

NORMAL, GOING_AWAY, POLICY, FAILED = 1000, 1001, 1008, 1011
LOST = 1006
"""No close frame came; never sent."""
LONGEST_REASON = 123
_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_OF_FAULT: dict[Code, tuple[int, str]] = {
    "UNAVAILABLE": (GOING_AWAY, "this host is stopping"),
    "DEADLINE_EXCEEDED": (GOING_AWAY, "its time is over"),
}


def of_outcome(fault: Fault | None) -> tuple[int, str]:
    """What a peer is told when the handler has ended."""
    if fault is None:
        return NORMAL, ""
    return _OF_FAULT.get(fault.code, (FAILED, fault.message))


def check(code: int) -> None:
    """Raises UsageError for a code that no side may send."""
    if code not in _SENDABLE and not 3000 <= code <= 4999:
        raise UsageError(f"close({code}): a close code is one of 1000 to 1014 (RFC 6455), or from 3000 to 4999")


def cut(reason: str) -> bytes:
    """`reason` as it fits into a close frame, cut between two characters."""
    return reason.encode(errors="replace")[:LONGEST_REASON].decode(errors="ignore").encode()
