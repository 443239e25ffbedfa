"""A guard against numbers that make msgspec's JSON float parser slow.

Near the ends of the range of a double (1.5e300, 5e-324) and for some numbers of 20 digits and more, the parser (msgspec
0.22) takes its slow road: about 9 microseconds a number, 1.3 s for one MiB of ``1.5e300``, against 35 ns otherwise. So a
message may hold `ALLOWANCE` such numbers; short messages can't hold more and are not looked at. The first look costs
about 2 ns a byte; only where it finds too many candidates (hexadecimal digests look alike) are strings told from numbers.
"""

from __future__ import annotations

import re

ALLOWANCE = 256
"""Costly numbers in one message: 256 take 2.5 ms."""
SHORT = 2048
"""Bytes up to which a message is not looked at: it has no room for many more than `ALLOWANCE`."""

_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_DIGITS = b"0" * 20
# A string is swallowed whole, also an unfinished one: every byte is looked at once, whatever the peer wrote.
_STRING_OR_COSTLY = re.compile(
    rb'"(?:[^"\\]++|\\.)*+"?|([0-9.]++[eE][+-]?+0*+(?:2[5-9]|[3-9][0-9]|[1-9][0-9]{2})[0-9]++|(?=[0-9.]{20})[0-9]*+[.eE][0-9.eE+-]*+)',
    re.DOTALL,
)


def check(body: bytes) -> None:
    """Raises ValueError when `body`, JSON, holds more than `ALLOWANCE` numbers that are slow to read."""
    if len(body) > SHORT and _suspects(body) > ALLOWANCE and _costly(body) > ALLOWANCE:
        raise ValueError(
            f"more than {ALLOWANCE} numbers beyond 1e250, below 1e-250 or with 20 digits and more in one JSON message: "
            "send them with msgpack, or in smaller messages"
        )


def _suspects(body: bytes) -> int:
    shape = bytes(body).translate(_SHAPE, b"+-.")
    return shape.count(b"0e000") + shape.count(_DIGITS)


def _costly(body: bytes) -> int:
    return sum(1 for found in _STRING_OR_COSTLY.finditer(body) if found[1])
