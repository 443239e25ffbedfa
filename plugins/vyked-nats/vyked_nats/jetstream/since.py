"""Where a subscription begins, in the server's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

SEQUENCE = "seq:"
FROM_NOW_ON: dict[str, Any] = {"deliver_policy": "new"}
EVERYTHING: dict[str, Any] = {"deliver_policy": "all"}


def beginning(since: str | None) -> dict[str, Any] | None:
    """Of nothing (from now on), "0" (all there is), ``seq:N`` (an event's place in the stream: from that one on), a time as ISO 8601
    has it (without a zone: UTC) or as milliseconds since 1970. None: it is none of these, but the id of an event."""
    if since is None:
        return FROM_NOW_ON
    if since == "0":
        return EVERYTHING
    number = since.removeprefix(SEQUENCE)
    if since.startswith(SEQUENCE) and number.isdecimal() and int(number) > 0:
        return after(int(number) - 1)
    try:
        return {"deliver_policy": "by_start_time", "opt_start_time": _time(since).isoformat().replace("+00:00", "Z")}
    except (ValueError, OverflowError, OSError):
        return None


def after(sequence: int) -> dict[str, Any]:
    """Of the event behind the one at that place."""
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence + 1}


def _time(since: str) -> datetime:
    if since.isascii() and since.isdigit():
        return datetime.fromtimestamp(int(since) / 1000, UTC)
    time = datetime.fromisoformat(since)
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
