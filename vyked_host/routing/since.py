"""Where a replay begins, as people and subscriptions say it."""

from __future__ import annotations

from datetime import datetime


def beginning(since: str) -> float | str:
    """Seconds since 1970 where `since` is a time: milliseconds since 1970, or ISO 8601 (without a zone: UTC). Anything else is the id
    of an event, and comes back as it is."""
    if since.isascii() and since.isdigit():
        return int(since) / 1000
    try:
        time = datetime.fromisoformat(since)
        return (time if time.tzinfo is not None else datetime.fromisoformat(f"{time.isoformat()}+00:00")).timestamp()
    except ValueError:
        return since
