"""Where a subscription begins, in the server's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from vyked_host import NotSupported

SEQUENCE = "seq:"
FROM_NOW_ON: dict[str, Any] = {"deliver_policy": "new"}


def beginning(since: str | None) -> dict[str, Any]:
    """Of nothing (from now on), "0" (all there is), ``seq:N`` (an event's place in the stream: from that one on), a time as ISO 8601
    has it (without a zone: UTC) or as milliseconds since 1970. Raises NotSupported for anything else."""
    if since is None:
        return FROM_NOW_ON
    if since == "0":
        return {"deliver_policy": "all"}
    number = since.removeprefix(SEQUENCE)
    if since.startswith(SEQUENCE) and number.isdecimal() and int(number) > 0:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": int(number)}
    time = _time(since)
    return {"deliver_policy": "by_start_time", "opt_start_time": time.isoformat().replace("+00:00", "Z")}


def _time(since: str) -> datetime:
    try:
        if since.isdecimal():
            return datetime.fromtimestamp(int(since) / 1000, UTC)
        time = datetime.fromisoformat(since)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        text = f"from_={since!r} is no place to begin: write 0, seq:N, milliseconds since 1970 or an ISO 8601 time"
        raise NotSupported(text) from None
