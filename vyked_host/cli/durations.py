"""Times and sizes as people say them."""

from __future__ import annotations

import datetime
import re
import time

from ..errors import UsageError

DAY_S = 86400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def seconds_of(text: str) -> float:
    """``5m`` as 300.0; a bare number is seconds. Raises UsageError."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no time span: write 30s, 5m, 2h or 1d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def moment(text: str, now: float) -> str:
    """What a bus takes as the beginning of a replay: ``10m`` as milliseconds since 1970, ``12:03`` (today, or yesterday when that is
    still to come) and ISO 8601 in local time likewise; anything else is an id, and stays as it is."""
    match = _SPAN.fullmatch(text)
    if match is not None:
        if not match[2]:
            return text  # bare numbers are milliseconds since 1970
        return str(int((now - seconds_of(text)) * 1000))
    try:
        today = datetime.datetime.fromtimestamp(now)
        at = (
            datetime.datetime.combine(today, datetime.time.fromisoformat(text))
            if ":" in text[:3]
            else datetime.datetime.fromisoformat(text)
        )
    except ValueError:
        return text
    seconds = at.timestamp()
    return str(int((seconds - DAY_S if ":" in text[:3] and seconds > now else seconds) * 1000))


def span(seconds: float) -> str:
    """``40 us``, ``0.4 ms``, ``1.25 s``, ``3m``, ``2h``, ``4d``."""
    if seconds < 1e-4:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s"
    for unit, size in (("m", 60.0), ("h", 3600.0)):
        if seconds < 120 * size or (unit == "h" and seconds < 48 * size):
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 86400.0:.0f}d"


def age(seconds: float) -> str:
    """A span without fractions, for a column."""
    return f"{max(0.0, seconds):.0f}s" if seconds < 120 else span(seconds)


def clock(unix_s: float) -> str:
    """``12:03:11.204``, in local time."""
    return f"{time.strftime('%H:%M:%S', time.localtime(unix_s))}.{int(unix_s % 1 * 1000):03d}"


def mib(size: int) -> str:
    """``41 MiB``."""
    return f"{size / (1 << 20):.0f} MiB" if size else "-"
