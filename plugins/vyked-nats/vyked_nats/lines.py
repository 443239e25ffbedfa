"""What stands before each message of a subscription, taken apart once: of most events it is the same, byte for byte, as of others before
them. No socket, no loop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from .message import CRLF

MOST = 1024
"""Lines that are kept."""
_PLAIN = re.compile(rb"MSG [^ \r\n]++ ([^ \r\n]++) ([0-9]{1,9})")
"""Its subject, the number of the subscription, and its bytes: with no headers, and nobody to answer."""
C = TypeVar("C")


class Known(NamedTuple, Generic[C]):
    """A line: whose message follows it, of so many bytes, and what stands between two of them."""

    of: C
    size: int
    between: bytes


class Lines(Generic[C]):
    """`of` is whose messages come, by number of subscription."""

    def __init__(self, of: Mapping[bytes, C]) -> None:
        self._of = of
        self._known: dict[bytes, Known[C]] = {}

    def forget(self) -> None:
        """The numbers are others from now on."""
        self._known.clear()

    def within(self, data: bytes) -> tuple[int, list[tuple[C, list[bytes]]]]:
        """How far the messages are that stand whole at the beginning, without headers and with nobody to answer; and those, in order: whose
        they are, and as many as have the same line."""
        at, find, known, stands_at = 0, data.find, self._known.get, data.startswith
        found: list[tuple[C, list[bytes]]] = []
        while (end := find(CRLF, at)) >= 0:
            line = known(data[at:end]) or self._read(data[at:end])
            if line is None:
                break
            of, size, between = line
            alike: list[bytes] = []
            begin = end + len(CRLF)
            stop = begin + size
            while stands_at(between, stop):
                alike.append(data[begin:stop])
                begin = stop + len(between)
                stop = begin + size
            at = begin + len(CRLF) - len(between)
            if is_whole := stands_at(CRLF, stop):
                alike.append(data[begin:stop])
                at = stop + len(CRLF)
            if alike:
                found.append((of, alike))
            if not is_whole:
                break
        return at, found

    def _read(self, line: bytes) -> Known[C] | None:
        """Where it is one of those."""
        match = _PLAIN.fullmatch(line)
        if match is None or (of := self._of.get(match[1])) is None:
            return None
        if len(self._known) >= MOST:
            self._known.clear()
        found = self._known[line] = Known(of, int(match[2]), b"%b%b%b" % (CRLF, line, CRLF))
        return found
