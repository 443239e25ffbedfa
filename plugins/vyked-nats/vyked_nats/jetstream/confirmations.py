"""The words in which a server confirms events that it keeps: nearly always ``{"stream":"...","seq":...}``, to one inbox, and of a busy publisher
many in one piece of what comes. Those are found by one search for all of them; everything else is read one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

NOTHING: tuple[int, list[bytes], int] = (0, [], 0)
END = b"}\r\n"


class Confirmations:
    """Of one subscription to the subjects that begin with `inbox`, which has this `number`, for events of one stream. They are alike where
    numbers and places have as many digits as the last that was read by itself; so all of them have one length."""

    def __init__(self, inbox: str, number: bytes, stream: str) -> None:
        self._inbox, self._number = inbox.encode(), number
        self._forms = tuple(f'{{"stream":"{stream}",{space}"seq":'.encode() for space in ("", " "))
        self._digits = 0, 0
        self._each: Callable[..., list[bytes]] = _none
        self._run: Callable[[bytes], re.Match[bytes] | None] = _nowhere
        self._length = 1

    def learn(self, number: bytes, sequence: int, data: bytes) -> None:
        """This one was read by itself: those that look like it are not."""
        digits = len(number), len(str(sequence))
        if digits != self._digits and (says := data[: -digits[1] - 1]) in self._forms and data.endswith(b"}"):
            self._digits = digits
            before, between = b"MSG %b" % self._inbox, b" %b %d\r\n%b" % (self._number, len(data), says)
            self._length = len(before) + len(between) + sum(digits) + len(END)
            pattern = b"%b([0-9]{%d})%b[0-9]{%d}%b" % (
                re.escape(before),
                digits[0],
                re.escape(between),
                digits[1],
                re.escape(END),
            )
            self._each = re.compile(pattern).findall
            self._run = re.compile(b"(?:%b)++" % pattern).match

    def within(self, data: bytes) -> tuple[int, list[bytes], int]:
        """How far `data` consists of them from its beginning on; their numbers; the place that the last one says."""
        found = self._each(data)
        end = len(found) * self._length
        if not found:
            return NOTHING
        if end != len(data):  # else one stands beside the other, for they all have this length
            if (run := self._run(data)) is None:
                return NOTHING
            end = run.end()
            found = self._each(data, 0, end)
        stop = end - len(END)
        return end, found, int(data[stop - self._digits[1] : stop])


def _none(_data: bytes, *_where: int) -> list[bytes]:
    """Nothing is known yet."""
    return []


def _nowhere(_data: bytes) -> None:
    """Likewise."""
